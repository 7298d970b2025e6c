//! To which entry of the plugins directory an id belongs, and what happens to the plugin when the entry cannot be used.

use crate::{Fixture, install};
use limits::plugin::PLUGINS_MAX;
use serde_json::{Value, json};
use std::fs;

impl Fixture {
    async fn errors(&self) -> Value {
        self.done("GET", "/api/plugins/check", Value::Null).await["errors"].clone()
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_used_keeps_its_id_until_it_is_gone() {
    let fixture = Fixture::new().await;
    let (id, plugins) = ("first.plugin", fixture.folder.path().join("plugins"));
    install(&plugins, "twin");
    let twin = fs::read_to_string(plugins.join("twin/jackfield.json")).expect("a manifest");
    let twin = twin.replace(r#""id":"twin""#, r#""id":"first.plugin""#);
    fs::write(plugins.join("twin/jackfield.json"), twin).expect("a manifest");
    let owner = plugins.join(id).join("jackfield.json");
    let whole = fs::read_to_string(&owner).expect("a manifest");
    fs::write(&owner, &whole[..200]).expect("a manifest");
    let path = format!("/api/plugins/{id}");
    let seen = async || {
        fixture.plugins.scan().await.expect("a look");
        let plugin = fixture.done("GET", &path, Value::Null).await;
        (plugin["name"].clone(), plugin["lastError"].to_string())
    };
    let (name, error) = seen().await;
    assert_eq!(name, "Plugin first.plugin", "the id is not the twin's");
    assert!(error.contains("cannot be used now"), "{error}");
    let errors = fixture.errors().await;
    let twin = errors["twin"].as_str().unwrap_or_default();
    assert!(twin.contains("belongs to first.plugin"), "{errors}");
    let (status, answer) = fixture
        .admin("POST", &format!("{path}/reload"), Value::Null)
        .await;
    assert_eq!(status, 409, "{answer}");

    fs::write(&owner, whole).expect("a manifest");
    let (name, error) = seen().await;
    assert_eq!(name, "Plugin first.plugin");
    assert!(!error.contains("cannot be used now"), "{error}");

    fs::remove_dir_all(plugins.join(id)).expect("a folder");
    let (name, _) = seen().await;
    assert_eq!(name, "Plugin twin", "the id has moved");
}

#[tokio::test]
async fn plugins_that_are_there_come_before_new_ones() {
    let fixture = Fixture::new().await;
    let plugins = fixture.folder.path().join("plugins");
    for at in 0..PLUGINS_MAX {
        install(&plugins, &format!("a{at:04}"));
    }
    fixture.plugins.scan().await.expect("a look");
    let errors = fixture.errors().await;
    let late = [PLUGINS_MAX - 2, PLUGINS_MAX - 1].map(|at| format!("a{at:04}"));
    for late in late {
        assert!(errors[&late].is_string(), "{late}: {errors}");
    }
    let fixture = fixture.again().await;
    for id in ["first.plugin", "second.plugin"] {
        let path = format!("/api/plugins/{id}");
        let plugin = fixture.done("GET", &path, json!(null)).await;
        assert_eq!(plugin["name"], format!("Plugin {id}"));
    }
}

#[tokio::test]
async fn a_pipe_in_place_of_the_file_of_enabled_plugins_stops_nothing() {
    let fixture = Fixture::new().await;
    let metadata = fixture.folder.path().join("plugins/.metadata");
    fs::create_dir_all(&metadata).expect("a folder");
    let made = std::process::Command::new("mkfifo")
        .arg(metadata.join("config.json"))
        .status();
    assert!(made.expect("mkfifo").success());
    fixture.plugins.scan().await.expect("a look");
}
