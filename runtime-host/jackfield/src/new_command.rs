//! `jackfield new plugin`: a folder with a plugin that builds and runs, to begin with.
//!
//! Invariant: nothing that exists is written over.

use anyhow::{Context, Result, bail, ensure};
use identifiers::PluginId;
use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
};

/// What is new.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// A plugin in Rust.
    Plugin(Plugin),
}

/// A plugin in Rust.
#[derive(clap::Args)]
struct Plugin {
    /// Its name, such as `hello`: a-z, 0-9 and hyphens. The folder and the route are called the same.
    name: String,
    /// Its id; `example.<name>` when missing.
    #[arg(long)]
    id: Option<String>,
    /// Where the folder is made.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,
    /// The folder of the SDK; looked for above this program and above the working directory when missing.
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

/// The files, with `{name}`, `{id}`, `{file}` and `{sdk}` to be filled in.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.template")),
    (
        "jackfield.json",
        include_str!("new/jackfield.json.template"),
    ),
    ("src/lib.rs", include_str!("new/lib.rs.template")),
    (".gitignore", "/target\n"),
];

/// Makes it.
///
/// # Errors
/// The name or id is none, the folder exists, or the SDK is not found.
pub(crate) fn run(args: &Args) -> Result<()> {
    let What::Plugin(plugin) = &args.what;
    let sound = |name: &str| {
        name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.len() <= 64
            && name.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'
            })
    };
    ensure!(
        sound(&plugin.name),
        "name {:?} must be 1 to 64 of a-z, 0-9 and '-', beginning with a letter",
        plugin.name
    );
    let id = plugin
        .id
        .clone()
        .unwrap_or_else(|| format!("example.{}", plugin.name));
    PluginId::new(id.as_str()).with_context(|| format!("id {id:?}"))?;
    let sdk = match &plugin.sdk {
        Some(folder) => folder
            .canonicalize()
            .with_context(|| format!("the SDK {}", folder.display()))?,
        None => find_sdk()?,
    };
    let folder = plugin.into.join(&plugin.name);
    if folder.exists() {
        bail!("{} exists already", folder.display());
    }
    for (path, template) in FILES {
        let text = template
            .replace("{name}", &plugin.name)
            .replace("{id}", &id)
            .replace("{file}", &plugin.name.replace('-', "_"))
            .replace("{sdk}", &sdk.display().to_string());
        let path = folder.join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    let file = plugin.name.replace('-', "_");
    writeln!(
        out,
        "{} is ready. Build it, and put it where the host looks:",
        folder.display()
    )?;
    writeln!(out, "  cd {}", folder.display())?;
    writeln!(out, "  cargo build --release --target wasm32-wasip2")?;
    writeln!(
        out,
        "  mkdir -p <data>/plugins/{id} && cp jackfield.json target/wasm32-wasip2/release/{file}.wasm <data>/plugins/{id}/"
    )?;
    writeln!(out, "Let it answer on its route:")?;
    writeln!(out, "  jackfield plugin grants {id} give http.serve")?;
    writeln!(
        out,
        "Then GET /api/plugins/route/{} with a token answers.",
        plugin.name
    )?;
    Ok(())
}

fn find_sdk() -> Result<PathBuf> {
    let program = env::current_exe()
        .and_then(|path| path.canonicalize())
        .context("the binary does not know where it is")?;
    let here = env::current_dir().context("there is no working directory")?;
    let places = program.ancestors().chain(here.ancestors());
    let found = places
        .map(|folder| folder.join("components/plugin-sdk"))
        .find(|folder| Path::new(folder).join("Cargo.toml").is_file());
    found.context("the SDK is not found above this program; name its folder with --sdk")
}
