//! Embeds what the binary carries: the product's application, and the SDK for `jackfield new plugin`. Nothing is compiled here.
//!
//! - The application is `spin.toml` and the component files that it names, taken from its paths or, by name, from the folder in
//!   `JACKFIELD_COMPONENTS`. `cargo xtask build` builds them first; a binary that is built without them needs `--app`.
//! - The SDK is the crate `plugin-sdk` with a manifest that stands alone, and the WIT package of plugins.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The folder of the component files, where it is another one than `spin.toml` says.
const COMPONENTS: &str = "JACKFIELD_COMPONENTS";
/// Where plugins' WIT is, in the workspace and in a new plugin's folder.
const WIT: &str = "wit/plugin/0.1.0";

fn main() -> Result<()> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = package.ancestors().nth(2).ok_or("no workspace")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed={COMPONENTS}");
    fs::write(out.join("application.rs"), application(workspace)?)?;
    fs::write(out.join("sdk.rs"), sdk(workspace, &out)?)?;
    Ok(())
}

/// Rust source of `MANIFEST: &str` and `FILES: &[EmbeddedFile]`; both are empty when a component is missing.
fn application(workspace: &Path) -> Result<String> {
    let manifest = workspace.join("spin.toml");
    let folder = env::var_os(COMPONENTS).map(PathBuf::from);
    let mut files = String::new();
    for source in sources(&read(&manifest)?) {
        let path = match &folder {
            Some(folder) => folder.join(source.file_name().ok_or("a source without name")?),
            None => workspace.join(&source),
        };
        watch(&path);
        if !path.is_file() {
            if folder.is_some() {
                return Err(format!("{COMPONENTS}: {} does not exist", path.display()).into());
            }
            let none = "const MANIFEST: &str = \"\";\nconst FILES: &[EmbeddedFile] = &[];\n";
            return Ok(none.to_owned());
        }
        writeln!(files, "    ({source:?}, include_bytes!({path:?})),")?;
    }
    Ok(format!(
        "const MANIFEST: &str = include_str!({manifest:?});\nconst FILES: &[EmbeddedFile] = &[\n{files}];\n"
    ))
}

/// The `source` of each component; in this manifest each stands on a line of its own.
fn sources(manifest: &str) -> Vec<PathBuf> {
    let value = |line: &str| {
        let quoted = line.strip_prefix("source = \"")?;
        quoted.split_once('"').map(|(path, _)| path.into())
    };
    manifest.lines().filter_map(value).collect()
}

/// Rust source of `SDK: &[(&str, &str)]`, the files of a new plugin that are the same for all: path and text.
fn sdk(workspace: &Path, out: &Path) -> Result<String> {
    let crate_folder = workspace.join("components/plugin-sdk");
    let generated = out.join("sdk");
    fs::create_dir_all(&generated)?;
    let mut files = String::new();
    let mut add =
        |name: &str, path: &Path| writeln!(files, "    ({name:?}, include_str!({path:?})),");
    let manifest = generated.join("Cargo.toml");
    fs::write(&manifest, sdk_manifest(workspace, &crate_folder)?)?;
    add("sdk/Cargo.toml", &manifest)?;
    for path in listed(&crate_folder.join("src"))? {
        let name = file_name(&path)?;
        let text = read(&path)?;
        if !text.contains(&format!("../../{WIT}")) {
            add(&format!("sdk/src/{name}"), &path)?;
            continue;
        }
        // In a plugin's folder the SDK lies one level below, not two.
        let moved = generated.join(&name);
        fs::write(
            &moved,
            text.replace(&format!("../../{WIT}"), &format!("../{WIT}")),
        )?;
        add(&format!("sdk/src/{name}"), &moved)?;
    }
    for path in listed(&workspace.join(WIT))? {
        watch(&path);
        add(&format!("{WIT}/{}", file_name(&path)?), &path)?;
    }
    Ok(format!("const SDK: &[(&str, &str)] = &[\n{files}];\n"))
}

/// The SDK's manifest with the workspace's values in the place of references to it.
fn sdk_manifest(workspace: &Path, crate_folder: &Path) -> Result<String> {
    let shared = read(&workspace.join("Cargo.toml"))?;
    let mut manifest = String::new();
    for line in read(&crate_folder.join("Cargo.toml"))?.lines() {
        match line.split_once(".workspace = true") {
            Some((key, _)) => {
                let defined = shared
                    .lines()
                    .find(|line| line.split(" = ").next() == Some(key));
                manifest +=
                    defined.ok_or_else(|| format!("the workspace does not define {key}"))?;
            }
            None if line == "[lints]" || line == "workspace = true" => continue,
            None => manifest += line,
        }
        manifest.push('\n');
    }
    Ok(manifest)
}

/// The files of a folder, in order; the folder is watched for new ones.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    watch(folder);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name.ok_or("a file name that is not UTF-8")?.to_owned())
}

/// The text of a file; the build script runs again when it changes.
fn read(path: &Path) -> Result<String> {
    watch(path);
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}
