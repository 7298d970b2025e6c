//! The components under test are those of the product.

use sha2::{Digest as _, Sha256};
use std::{fs, path::Path};
use tests::{component, root};

#[test]
fn tests_load_the_files_that_spin_toml_names() {
    let manifest = fs::read_to_string(root().join("spin.toml")).expect("spin.toml");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let components = manifest["component"].as_table().expect("components");
    assert!(components.contains_key("envelope-validator"));
    for (name, entry) in components {
        let source = root().join(entry["source"].as_str().expect("a source"));
        let digest = |path: &Path| {
            let bytes =
                fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Sha256::digest(bytes)
        };
        assert_eq!(digest(&source), digest(&component(name)), "{name}");
    }
}
