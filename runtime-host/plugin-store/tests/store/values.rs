//! Values: isolation, shares, atomicity, order.

use crate::{Fixture, code};
use bytes::Bytes;
use limits::plugin_store::{
    BYTES_PER_PLUGIN_MAX, CHANGES_BYTES_MAX, CHANGES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX,
    VALUES_PER_PLUGIN_MAX,
};
use plugin_store::{Change, PluginStore};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tokio::runtime::Runtime;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn set(key: &str, value: &str) -> Change {
    Change::Set(key.into(), bytes(value))
}

async fn put(store: &PluginStore, plugin: &str, key: &str, value: &str) {
    store
        .kv_apply(plugin, vec![set(key, value)])
        .await
        .unwrap_or_else(|error| panic!("{key:?}: {error}"));
}

#[tokio::test]
async fn no_key_leads_out_of_a_plugins_own_namespace() {
    let fixture = Fixture::new();
    let store = fixture.open();
    put(&store, "b.plugin", "x", "of b").await;
    let keys = [
        "../b.plugin/x",
        "b.plugin/x",
        "b.plugin:x",
        "%2e%2e/b.plugin/x",
        "..\\b.plugin\\x",
        "é",
        "e\u{301}",
        "'; DELETE FROM kv; --",
        "%",
        "_",
    ];
    for key in keys {
        assert_eq!(
            store.kv_get("a.plugin", key).await.unwrap(),
            None,
            "{key:?}"
        );
        put(&store, "a.plugin", key, key).await;
    }
    for key in keys {
        assert_eq!(
            store.kv_get("a.plugin", key).await.unwrap(),
            Some(bytes(key)),
            "two spellings are two keys: {key:?}"
        );
        assert_eq!(
            store.kv_get("b.plugin", key).await.unwrap(),
            None,
            "{key:?}"
        );
        assert!(store.kv_delete("a.plugin", key).await.unwrap());
    }
    assert_eq!(
        store.kv_get("b.plugin", "x").await.unwrap(),
        Some(bytes("of b"))
    );
    assert_eq!(
        (
            store.kv_usage("a.plugin").await.unwrap(),
            store.kv_usage("b.plugin").await.unwrap()
        ),
        (0, 5)
    );
    // A plugin's id and a key cannot be shifted against each other.
    put(&store, "abc", "def", "1").await;
    assert_eq!(
        (
            store.kv_get("ab", "cdef").await.unwrap(),
            store.kv_get("abcd", "ef").await.unwrap()
        ),
        (None, None)
    );
}

#[tokio::test]
async fn keys_and_values_have_limits() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for key in [
        "",
        "a\0b",
        "a\nb",
        "\u{9b}",
        &"x".repeat(KEY_BYTES_MAX + 1),
        &"ä".repeat(KEY_BYTES_MAX / 2 + 1),
    ] {
        assert_eq!(
            code(store.kv_get("plugin", key).await),
            "INVALID_KEY",
            "{key:?}"
        );
        assert_eq!(
            code(
                store
                    .kv_apply("plugin", vec![Change::Delete(key.into())])
                    .await
            ),
            "INVALID_KEY",
            "{key:?}"
        );
        assert_eq!(
            code(store.kv_add("plugin", key, 1).await),
            "INVALID_KEY",
            "{key:?}"
        );
    }
    let key = "x".repeat(KEY_BYTES_MAX);
    let largest = Change::Set(key.clone(), vec![7; VALUE_BYTES_MAX].into());
    store
        .kv_apply("plugin", vec![largest.clone()])
        .await
        .expect("it fits");
    assert_eq!(
        store
            .kv_get("plugin", &key)
            .await
            .unwrap()
            .map(|value| value.len()),
        Some(VALUE_BYTES_MAX)
    );
    assert_eq!(
        code(
            store
                .kv_apply(
                    "plugin",
                    vec![Change::Set("k".into(), vec![0; VALUE_BYTES_MAX + 1].into())]
                )
                .await
        ),
        "TOO_LARGE"
    );
    assert_eq!(
        code(
            store
                .kv_apply("plugin", vec![set("k", "v"); CHANGES_MAX + 1])
                .await
        ),
        "QUOTA_EXCEEDED"
    );
    assert_eq!(
        code(
            store
                .kv_apply("plugin", vec![largest; CHANGES_BYTES_MAX / VALUE_BYTES_MAX])
                .await
        ),
        "TOO_LARGE"
    );
    for plugin in ["", "a\0", &"x".repeat(129)] {
        assert_eq!(code(store.kv_get(plugin, "k").await), "INVALID_KEY");
    }
}

#[tokio::test]
async fn a_share_is_used_up_to_its_end_and_given_back() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let value = Bytes::from(vec![1; VALUE_BYTES_MAX]);
    let key = |at: usize| format!("{at:04}");
    let fit = BYTES_PER_PLUGIN_MAX as usize / (VALUE_BYTES_MAX + 4);
    for at in 0..fit {
        store
            .kv_apply("full", vec![Change::Set(key(at), value.clone())])
            .await
            .expect("it fits");
    }
    let used = store.kv_usage("full").await.unwrap();
    assert_eq!(used as usize, fit * (VALUE_BYTES_MAX + 4));
    let too_much = vec![set("small", "1"), Change::Set(key(fit), value.clone())];
    assert_eq!(
        code(store.kv_apply("full", too_much).await),
        "QUOTA_EXCEEDED"
    );
    assert_eq!(
        store.kv_get("full", "small").await.unwrap(),
        None,
        "nothing of a refused write is there"
    );
    assert_eq!(
        code(
            store
                .kv_compare_and_set("full", "new", None, Some(value.clone()))
                .await
        ),
        "QUOTA_EXCEEDED"
    );
    store
        .kv_apply("other", vec![Change::Set(key(0), value.clone())])
        .await
        .expect("another plugin has its own share");
    // What makes room and what takes it may be one write, in this order.
    store
        .kv_apply(
            "full",
            vec![Change::Delete(key(0)), Change::Set(key(fit), value)],
        )
        .await
        .expect("it fits again");
    assert_eq!(store.kv_usage("full").await.unwrap(), used);
    // A share that became smaller than what is stored refuses no write that shrinks.
    drop(store);
    let more = BYTES_PER_PLUGIN_MAX * 2;
    fixture
        .sql()
        .execute(
            "UPDATE usage SET kv_bytes = ?1, kv_values = ?2",
            [more as i64, 2 * VALUES_PER_PLUGIN_MAX as i64],
        )
        .expect("SQL");
    let store = fixture.open();
    assert!(store.kv_delete("full", &key(1)).await.expect("it shrinks"));
    assert_eq!(
        code(store.kv_apply("full", vec![set("k", "v")]).await),
        "QUOTA_EXCEEDED"
    );
}

#[tokio::test]
async fn the_number_of_values_is_bounded_too() {
    let fixture = Fixture::new();
    let store = fixture.open();
    put(&store, "tiny", "k", "").await;
    drop(store);
    fixture
        .sql()
        .execute(
            "UPDATE usage SET kv_values = ?1",
            [VALUES_PER_PLUGIN_MAX as i64 - 1],
        )
        .expect("SQL");
    let store = fixture.open();
    put(&store, "tiny", "last", "").await;
    assert_eq!(
        code(store.kv_apply("tiny", vec![set("more", "")]).await),
        "QUOTA_EXCEEDED"
    );
    put(&store, "tiny", "last", "changed").await;
}

#[tokio::test]
async fn compare_and_set_has_one_winner() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert!(
        !store
            .kv_compare_and_set("p", "k", Some(bytes("")), Some(bytes("1")))
            .await
            .unwrap(),
        "absent is not empty"
    );
    let tries = (0..20).map(|at| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .kv_compare_and_set("p", "k", None, Some(bytes(&at.to_string())))
                .await
                .unwrap()
        })
    });
    let mut winners = Vec::new();
    for (at, outcome) in tries.collect::<Vec<_>>().into_iter().enumerate() {
        if outcome.await.expect("it ends") {
            winners.push(at.to_string());
        }
    }
    assert_eq!(winners.len(), 1);
    let value = store.kv_get("p", "k").await.unwrap();
    assert_eq!(value, Some(bytes(&winners[0])));
    assert!(
        store
            .kv_compare_and_set("p", "k", value, None)
            .await
            .unwrap(),
        "none removes"
    );
    assert_eq!(
        (
            store.kv_get("p", "k").await.unwrap(),
            store.kv_usage("p").await.unwrap()
        ),
        (None, 0)
    );
}

#[tokio::test]
async fn sums_lose_nothing_and_refuse_what_is_no_number() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let adds: Vec<_> = (0..50)
        .map(|_| store.clone())
        .map(|store| tokio::spawn(async move { store.kv_add("p", "n", 3).await }))
        .collect();
    for add in adds {
        add.await.expect("it ends").expect("it adds");
    }
    assert_eq!(store.kv_add("p", "n", -1).await.unwrap(), 149);
    assert_eq!(store.kv_get("p", "n").await.unwrap(), Some(bytes("149")));
    assert_eq!(code(store.kv_add("p", "n", i64::MAX).await), "OUT_OF_RANGE");
    put(&store, "p", "text", "1x").await;
    assert_eq!(code(store.kv_add("p", "text", 1).await), "NOT_A_NUMBER");
    assert_eq!(store.kv_get("p", "n").await.unwrap(), Some(bytes("149")));
}

#[tokio::test]
async fn keys_are_listed_in_pages() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for key in ["a", "a/1", "a/2", "a/3", "a%", "b", "ä/1", "\u{10ffff}"] {
        put(&store, "p", key, "").await;
    }
    put(&store, "q", "a/9", "").await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.kv_keys("p", "a/", after.as_deref(), 2).await.unwrap();
        seen.extend(page.keys);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a/1", "a/2", "a/3"]);
    let all = store.kv_keys("p", "", None, 100).await.unwrap();
    assert_eq!((all.keys.len(), all.next), (8, None));
    assert_eq!(
        store
            .kv_keys("p", "\u{10ffff}", None, 100)
            .await
            .unwrap()
            .keys,
        ["\u{10ffff}"]
    );
    assert_eq!(
        store.kv_keys("p", "a%", Some("a"), 100).await.unwrap().keys,
        ["a%"]
    );
    assert_eq!(
        code(store.kv_keys("p", "a\0", None, 1).await),
        "INVALID_KEY"
    );
}

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<(u8, Option<u8>)>),
    Swap(u8, Option<u8>, Option<u8>),
    Add(u8, i8),
    Get(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..4u8;
    let value = proptest::option::of(0..6u8);
    prop_oneof![
        4 => proptest::collection::vec((key.clone(), value.clone()), 0..4).prop_map(Step::Apply),
        3 => (key.clone(), value.clone(), value).prop_map(|(key, old, new)| Step::Swap(key, old, new)),
        2 => (key.clone(), any::<i8>()).prop_map(|(key, by)| Step::Add(key, by)),
        4 => key.prop_map(Step::Get),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Memory and database together behave like a map.
    #[test]
    fn the_store_is_a_map(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = Runtime::new().unwrap();
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        let name = |key: u8| format!("k{key}");
        for step in steps {
            match step {
                Step::Apply(changes) => {
                    let all = changes.iter().map(|(key, value)| match value {
                        Some(value) => set(&name(*key), &value.to_string()),
                        None => Change::Delete(name(*key)),
                    });
                    runtime.block_on(store.kv_apply("p", all.collect())).unwrap();
                    for (key, value) in changes {
                        match value {
                            Some(value) => drop(model.insert(name(key), value.to_string())),
                            None => drop(model.remove(&name(key))),
                        }
                    }
                }
                Step::Swap(key, old, new) => {
                    let text = |value: Option<u8>| value.map(|value| value.to_string());
                    let (old, new) = (text(old), text(new));
                    let key = name(key);
                    let fits = model.get(&key) == old.as_ref();
                    let swap = store.kv_compare_and_set("p", &key, old.map(Bytes::from), new.clone().map(Bytes::from));
                    prop_assert_eq!(runtime.block_on(swap).unwrap(), fits);
                    match new {
                        _ if !fits => {}
                        Some(new) => drop(model.insert(key, new)),
                        None => drop(model.remove(&key)),
                    }
                }
                Step::Add(key, by) => {
                    let sum = runtime.block_on(store.kv_add("p", &name(key), by.into())).unwrap();
                    let before: i64 = model.get(&name(key)).map_or(0, |text| text.parse().unwrap());
                    prop_assert_eq!(sum, before + i64::from(by));
                    model.insert(name(key), sum.to_string());
                }
                Step::Get(key) => {
                    let found = runtime.block_on(store.kv_get("p", &name(key))).unwrap();
                    prop_assert_eq!(found, model.get(&name(key)).map(|text| bytes(text)));
                }
                Step::Reopen => {
                    drop(store);
                    store = fixture.open();
                }
            }
        }
        let used: usize = model.iter().map(|(key, value)| key.len() + value.len()).sum();
        prop_assert_eq!(runtime.block_on(store.kv_usage("p")).unwrap(), used as u64);
        let keys = runtime.block_on(store.kv_keys("p", "", None, 100)).unwrap().keys;
        prop_assert_eq!(keys, model.into_keys().collect::<Vec<_>>());
    }
}
