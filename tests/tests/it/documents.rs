//! The documents of the contract hold in other people's tools.

/// Tests with tools that `cargo xtask setup` installs.
mod foreign {
    use std::process::Command;
    use tests::{foreign::node, root};

    #[test]
    fn the_asyncapi_document_is_valid() {
        let document = root().join("docs/reference/asyncapi.json");
        let output = node("check-asyncapi.mjs").arg(document).output().expect("node runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    #[test]
    fn the_typescript_types_tell_envelopes_apart() {
        let clients = root().join("tests/clients");
        let options = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--types", ""];
        let output = Command::new(clients.join("node_modules/.bin/tsc")).args(options).arg("types.ts").current_dir(clients).output();
        let output = output.expect("the npm packages of tests/clients; run `cargo xtask setup`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
