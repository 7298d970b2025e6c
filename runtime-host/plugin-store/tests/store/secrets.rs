//! Secrets: sealed on disk, bound to their place, useless without the key.

use crate::{Fixture, code};
use limits::plugin_store::{SECRET_BYTES_MAX, SECRETS_PER_PLUGIN_MAX};
use plugin_store::{PluginStore, SECRETS_KEY_FILE};
use std::{fs, os::unix::fs::PermissionsExt};

const SECRET: &[u8] = b"correct horse battery staple";

#[tokio::test]
async fn a_secret_comes_back_to_its_plugin_alone_and_is_nowhere_on_disk() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store.secret_set("a", "token", SECRET).await.unwrap();
    assert_eq!(
        store.secret_get("a", "token").await.unwrap().as_deref(),
        Some(SECRET)
    );
    assert_eq!(
        (
            store.secret_get("b", "token").await.unwrap(),
            store.secret_get("a", "TOKEN").await.unwrap()
        ),
        (None, None)
    );
    drop(store);
    for entry in fs::read_dir(fixture.folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("a file");
        assert!(
            !bytes.windows(SECRET.len()).any(|window| window == SECRET),
            "{}",
            path.display()
        );
    }
    let mode = fs::metadata(fixture.folder.path().join(SECRETS_KEY_FILE))
        .expect("the key")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let store = fixture.open();
    assert_eq!(
        store.secret_get("a", "token").await.unwrap().as_deref(),
        Some(SECRET)
    );
    assert!(
        store.secret_delete("a", "token").await.unwrap()
            && !store.secret_delete("a", "token").await.unwrap()
    );
}

#[tokio::test]
async fn a_row_moved_or_changed_in_the_database_opens_nowhere() {
    let fixture = Fixture::new();
    fixture
        .open()
        .secret_set("a", "token", SECRET)
        .await
        .unwrap();
    let sql = fixture.sql();
    sql.execute(
        "INSERT INTO secrets SELECT 'b', name, sealed FROM secrets",
        [],
    )
    .expect("SQL");
    sql.execute(
        "INSERT INTO secrets SELECT 'a', 'other', sealed FROM secrets WHERE plugin = 'a'",
        [],
    )
    .expect("SQL");
    sql.execute("INSERT INTO secrets VALUES ('a', 'short', x'00')", [])
        .expect("SQL");
    drop(sql);
    let store = fixture.open();
    for (plugin, name) in [("b", "token"), ("a", "other"), ("a", "short")] {
        assert_eq!(
            code(store.secret_get(plugin, name).await),
            "SECRET_UNREADABLE",
            "{plugin} {name}"
        );
    }
    assert!(store.secret_get("a", "token").await.unwrap().is_some());
}

#[test]
fn a_store_does_not_open_without_its_own_key() {
    let fixture = Fixture::new();
    drop(fixture.open());
    let key = fixture.folder.path().join(SECRETS_KEY_FILE);
    let own = fs::read(&key).expect("the key");
    fs::remove_file(&key).expect("a file");
    assert_eq!(
        code(PluginStore::open(&fixture.file())),
        "SECRETS_KEY_MISSING"
    );
    assert!(!key.exists(), "no new key takes its place");
    let other = Fixture::new();
    drop(other.open());
    fs::copy(other.folder.path().join(SECRETS_KEY_FILE), &key).expect("a copy");
    assert_eq!(
        code(PluginStore::open(&fixture.file())),
        "SECRETS_KEY_WRONG"
    );
    fs::write(&key, "AAAA").expect("a file");
    assert_eq!(
        code(PluginStore::open(&fixture.file())),
        "SECRETS_KEY_WRONG"
    );
    fs::write(&key, own).expect("a file");
    drop(fixture.open());
}

#[tokio::test]
async fn secrets_are_bounded() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store
        .secret_set("p", "largest", &[1; SECRET_BYTES_MAX])
        .await
        .unwrap();
    assert_eq!(
        code(
            store
                .secret_set("p", "larger", &[1; SECRET_BYTES_MAX + 1])
                .await
        ),
        "TOO_LARGE"
    );
    assert_eq!(
        code(store.secret_set("p", "a\0b", b"").await),
        "INVALID_KEY"
    );
    for at in 1..SECRETS_PER_PLUGIN_MAX {
        store.secret_set("p", &at.to_string(), b"x").await.unwrap();
    }
    assert_eq!(
        code(store.secret_set("p", "more", b"x").await),
        "QUOTA_EXCEEDED"
    );
    store
        .secret_set("p", "largest", b"smaller")
        .await
        .expect("changing one takes no place");
    store
        .secret_set("q", "own", b"x")
        .await
        .expect("another plugin has its own share");
}
