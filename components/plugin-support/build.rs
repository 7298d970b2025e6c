//! Prepares the OpenAPI document: compact and compressed, with the digest that is its entity tag.

use rest::Compressed;
use std::{env, error::Error, fs, path::Path};

/// Written by `cargo xtask gen` from the table of routes.
const SOURCE: &str = "../../docs/reference/openapi-edge.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let document = serde_json::from_str(&fs::read_to_string(SOURCE)?)?;
    let made = Compressed::new(&document);
    let folder = env::var_os("OUT_DIR").ok_or("cargo names the folder")?;
    let folder = Path::new(&folder);
    fs::write(folder.join("openapi.json"), &made.plain)?;
    fs::write(folder.join("openapi.json.gz"), &made.gzip)?;
    fs::write(folder.join("openapi.json.digest"), &made.digest)?;
    Ok(())
}
