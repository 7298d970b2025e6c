//! The served documents are the generated ones, and third-party tools accept them.

use std::{env, fs};
use tests::{host::Host, root};

/// Compares a text with a file of docs/reference; `UPDATE_EXPECT=1` writes it instead.
pub(crate) fn same_as_reference(file: &str, text: &str) {
    let path = root().join("docs/reference").join(file);
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, text).expect("a written file");
        return;
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == text,
        "docs/reference/{file} is stale; UPDATE_EXPECT=1 cargo test -p tests rewrites it"
    );
}

#[test]
fn the_served_asyncapi_document_is_the_generated_one() {
    let served = Host::start().get("/api/asyncapi.json").expect(200).json();
    assert!(
        served == envelope_docs::asyncapi(),
        "the component was built from another table"
    );
}

#[test]
fn every_schema_is_served() {
    let host = Host::start();
    for (path, schema) in envelope_docs::schemas() {
        assert_eq!(
            host.get(&format!("/api/schemas/envelopes/{path}"))
                .expect(200)
                .json(),
            schema,
            "{path}"
        );
    }
}

#[test]
fn the_served_openapi_document_is_the_stored_one() {
    let served = Host::start().get("/api/openapi.json").expect(200).json();
    let text = serde_json::to_string_pretty(&served).expect("JSON") + "\n";
    same_as_reference("openapi.json", &text);
}

/// Tests with tools that `cargo xtask setup` installs.
mod foreign {
    use std::process::Command;
    use tests::{
        foreign::{node, python},
        host::Host,
        root,
    };

    #[test]
    fn the_asyncapi_document_is_valid() {
        let document = root().join("docs/reference/asyncapi.json");
        let output = node("check-asyncapi.mjs")
            .arg(document)
            .output()
            .expect("node runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    #[test]
    fn the_typescript_types_tell_envelopes_apart() {
        let clients = root().join("tests/clients");
        let options = [
            "--noEmit",
            "--strict",
            "--target",
            "es2022",
            "--module",
            "esnext",
            "--moduleResolution",
            "bundler",
            "--types",
            "",
        ];
        let output = Command::new(clients.join("node_modules/.bin/tsc"))
            .args(options)
            .arg("types.ts")
            .current_dir(clients)
            .output();
        let output = output.expect("the npm packages of tests/clients; run `cargo xtask setup`");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }

    /// schemathesis generates requests from the OpenAPI document, with an administrator's token.
    #[test]
    fn schemathesis_finds_no_server_error() {
        let host = Host::start();
        host.create_server("olga", "fuzzed");
        let token = host.token("fuzzer", "admin");
        let output = Command::new(python())
            .args(["-m", "schemathesis.cli", "run"])
            .arg(format!("{}/api/openapi.json", host.url()))
            .arg("--header")
            .arg(format!("Authorization: Bearer {token}"))
            .args([
                "--seed",
                "20260101",
                "--max-examples",
                "15",
                "--phases",
                "examples,coverage,fuzzing",
                "--no-color",
                "--request-timeout",
                "100",
            ])
            .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
            .current_dir(host.folder())
            .output()
            .expect("python runs");
        assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(host.get("/healthz").status, 200);
    }
}
