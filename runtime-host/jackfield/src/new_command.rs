//! `jackfield new plugin`: a folder with a plugin that builds and runs, the SDK and the WIT package beside it. Existing files are never
//! overwritten.

use anyhow::{Context, Result, bail, ensure};
use identifiers::PluginId;
use limits::plugin_api::NEW_NAME_CHARS_MAX;
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// Arguments of `jackfield new`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Create a plugin in Rust, with the SDK and the WIT package in its folder
    Plugin(Plugin),
}

#[derive(clap::Args)]
struct Plugin {
    /// Name of the plugin, its folder and its route: 1 to 64 of a-z, 0-9 and '-', beginning with a letter
    name: String,
    /// Id of the plugin [default: example.<NAME>]
    #[arg(long)]
    id: Option<String>,
    /// Folder in which the plugin's folder is created
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,
}

/// The files of a plugin, with `{name}`, `{id}` and `{file}` to be filled in.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.template")),
    (
        "jackfield.json",
        include_str!("new/jackfield.json.template"),
    ),
    ("src/lib.rs", include_str!("new/lib.rs.template")),
    (".gitignore", "/target\n"),
];

/// Runs `jackfield new`.
///
/// # Errors
/// The name or the id is not valid, the folder exists, or a file cannot be written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let What::Plugin(plugin) = &args.what;
    ensure!(
        is_name(&plugin.name),
        "name {:?} must be 1 to {NEW_NAME_CHARS_MAX} of a-z, 0-9 and '-', beginning with a letter",
        plugin.name
    );
    let id = plugin
        .id
        .clone()
        .unwrap_or_else(|| format!("example.{}", plugin.name));
    PluginId::new(id.as_str()).with_context(|| format!("id {id:?}"))?;
    let folder = plugin.into.join(&plugin.name);
    if folder.exists() {
        bail!("{} already exists", folder.display());
    }
    let file = plugin.name.replace('-', "_");
    for (path, template) in FILES {
        let text = template
            .replace("{name}", &plugin.name)
            .replace("{id}", &id)
            .replace("{file}", &file);
        write(&folder.join(path), &text)?;
    }
    for (path, text) in SDK {
        write(&folder.join(path), text)?;
    }
    instructions(plugin, &id, &file, &folder)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.len() <= NEW_NAME_CHARS_MAX
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

fn write(path: &Path, text: &str) -> Result<()> {
    let written = fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
        .and_then(|()| fs::write(path, text));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

/// Prints the commands that build, install and call the plugin.
fn instructions(plugin: &Plugin, id: &str, file: &str, folder: &Path) -> Result<()> {
    let name = &plugin.name;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Created {0}. Build the plugin and install it into the data folder of a host:
  cd {0}
  cargo build --release --target wasm32-wasip2
  mkdir -p <data>/plugins/{id}
  cp jackfield.json target/wasm32-wasip2/release/{file}.wasm <data>/plugins/{id}/
Allow it to answer on its route:
  jackfield plugin grants {id} give http.serve
Then GET /api/plugins/route/{name} with a token answers.",
        folder.display()
    )?;
    Ok(())
}
