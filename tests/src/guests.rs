//! Components that no compiler would produce: text files of `tests/guests` become plugins.
//!
//! A file is the body of a core module; the exports of `base.wat` that it does not define itself
//! are added. Lines that begin with `;;| ` are the WIT of its world; the default is
//! `jackfield:plugin/base`.

use crate::{plugins::Directory, root};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The default world of a guest.
const WORLD: &str = "world guest { include jackfield:plugin/base@0.1.0; }";

fn read(name: &str) -> String {
    let path = folder().join(format!("{name}.wat"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folder of the text files.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("tests/guests")
}

/// The component of a text file.
///
/// # Panics
/// When the text is not a component.
#[must_use]
pub fn guest(name: &str) -> Vec<u8> {
    let text = read(name);
    let wit: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix(";;| "))
        .collect();
    let wit = if wit.is_empty() {
        WORLD.to_owned()
    } else {
        wit.join("\n")
    };
    let mut module =
        wat::parse_str(module(&text)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut resolve = Resolve::default();
    if !wit.contains("package jackfield:plugin@0.1.0") {
        resolve
            .push_dir(root().join("wit/plugin/0.1.0"))
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
    let package = resolve
        .push_source(name, &format!("package tests:guest;\n{wit}"))
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let world = resolve
        .select_world(&[package], Some("guest"))
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let component = embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .and_then(|()| ComponentEncoder::default().module(&module)?.encode());
    component.unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

/// The whole module; imports come first, as the format requires.
fn module(text: &str) -> String {
    let base = read("base");
    let export = |block: &str| {
        block
            .split_once("(export \"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(name, _)| name.to_owned())
    };
    let missing = |block: &&str| {
        export(block).is_none_or(|name| !text.contains(&format!("(export \"{name}\")")))
    };
    let added: Vec<&str> = base.split("\n\n").filter(missing).collect();
    let added = added.join("\n");
    let (imports, rest): (Vec<&str>, Vec<&str>) = added
        .lines()
        .chain(text.lines())
        .partition(|line| line.starts_with("(import "));
    format!("(module\n{}\n{}\n)", imports.join("\n"), rest.join("\n"))
}

impl Directory {
    /// Installs a guest as the plugin `id`, with a manifest that `change` may change.
    pub fn install_guest(&self, id: &str, component: &[u8], change: impl FnOnce(&mut Value)) {
        let mut manifest = json!({
            "schemaVersion": 1, "id": id, "title": id, "description": "", "version": "1.0.0", "apiVersion": "1.0.0", "kind": "component",
            "entrypoint": "guest.wasm", "compatibility": {"minimumHostVersion": "0.1.0"},
            "settings": {"id": {"type": "string", "title": "What the component answers", "default": id}},
        });
        change(&mut manifest);
        let folder = self.path().join(id);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("guest.wasm"), component).expect("a component");
        fs::write(folder.join("jackfield.json"), manifest.to_string()).expect("a manifest");
    }
}
