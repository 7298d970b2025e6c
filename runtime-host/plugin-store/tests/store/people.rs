//! Records, grants, consents: what people said, kept.

use crate::{Fixture, code};
use capability::{CapabilityId, Scope};
use limits::plugin_store::{CONSENTS_WAITING_PER_PLUGIN_MAX, GRANTS_PER_PLUGIN_MAX};
use plugin_store::{ConsentState, Decision, Grant, NewConsent, PluginRecord, Switch, token_digest};

fn grant(plugin: &str, capability: CapabilityId, hosts: Option<&[&str]>) -> Grant {
    let hosts = hosts.map(|hosts| hosts.iter().map(|host| (*host).to_owned()).collect());
    let scope = Scope {
        hosts,
        ..Scope::default()
    };
    Grant {
        plugin: plugin.into(),
        capability,
        scope,
        deny: false,
        by: "olga".into(),
        at_ms: 5,
        expires_at_ms: None,
    }
}

#[tokio::test]
async fn records_survive_and_are_found_by_token() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert_eq!(store.record("a.b").await.unwrap(), None);
    let mut record = PluginRecord::new("a.b", true).unwrap();
    assert_ne!(
        record.instance_id,
        PluginRecord::new("a.b", true).unwrap().instance_id
    );
    record.token_digest = Some(token_digest("secret token"));
    record.approved = Some("{\"capabilities\":[]}".into());
    record.settings.insert("limit".into(), 5.into());
    record.folder = Some("plugin-a".into());
    store.save(record.clone()).await.unwrap();
    // The first that was recorded.
    record.number = 1;
    store
        .save(PluginRecord::new("c.d", false).unwrap())
        .await
        .unwrap();
    drop(store);
    let store = fixture.open();
    assert_eq!(store.record("a.b").await.unwrap(), Some(record.clone()));
    assert_eq!(
        store
            .record_by_token(&token_digest("secret token"))
            .await
            .unwrap()
            .map(|record| record.id),
        Some("a.b".into())
    );
    assert_eq!(
        store
            .record_by_token(&token_digest("secret"))
            .await
            .unwrap(),
        None
    );
    (record.enabled, record.reason) = (false, Some("max_restarts_exceeded".into()));
    store.save(record.clone()).await.unwrap();
    let all: Vec<_> = store
        .records()
        .await
        .unwrap()
        .into_iter()
        .map(|record| (record.id, record.enabled))
        .collect();
    assert_eq!(all, [("a.b".into(), false), ("c.d".into(), false)]);
    let count = |record: &mut PluginRecord| {
        record.settings["limit"] =
            (record.settings["limit"].as_u64().unwrap_or_default() + 1).into()
    };
    let changes = (0..20)
        .map(|_| store.clone())
        .map(|store| tokio::spawn(async move { store.change_record("a.b", count).await }));
    for change in changes.collect::<Vec<_>>() {
        change.await.expect("it ends").expect("it changes");
    }
    assert_eq!(
        store.record("a.b").await.unwrap().unwrap().settings["limit"],
        25
    );
    assert_eq!(
        code(store.change_record("un.known", |_| {}).await),
        "NOT_FOUND"
    );
    let mut thief = PluginRecord::new("e.f", true).unwrap();
    thief.token_digest = record.token_digest;
    assert!(
        store.save(thief).await.is_err(),
        "two plugins cannot have one token"
    );
    let mut large = PluginRecord::new("g.h", true).unwrap();
    large
        .settings
        .insert("text".into(), "x".repeat(300_000).into());
    assert_eq!(code(store.save(large).await), "TOO_LARGE");
}

#[tokio::test]
async fn grants_are_kept_replaced_taken_back_and_run_out() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let wide = grant("p", CapabilityId::HttpFetch, None);
    let narrow = grant("p", CapabilityId::HttpFetch, Some(&["a.example"]));
    for each in [
        wide.clone(),
        narrow.clone(),
        grant("p", CapabilityId::StorageKv, None),
        grant("q", CapabilityId::HttpFetch, None),
    ] {
        store.put_grant(each).await.unwrap();
    }
    drop(store);
    let store = fixture.open();
    assert_eq!(store.grants("p").await.unwrap().len(), 3);
    // The last word about the same thing counts.
    store
        .put_grant(Grant {
            deny: true,
            ..narrow.clone()
        })
        .await
        .unwrap();
    let of = store.grants("p").await.unwrap();
    assert_eq!(
        of.iter()
            .filter(|grant| grant.scope == narrow.scope)
            .map(|grant| grant.deny)
            .collect::<Vec<_>>(),
        [true]
    );
    assert_eq!(
        store
            .delete_grant("p", CapabilityId::HttpFetch, Some(&narrow.scope))
            .await
            .unwrap(),
        1
    );
    store
        .put_grant(Grant {
            expires_at_ms: Some(1),
            ..narrow.clone()
        })
        .await
        .unwrap();
    store
        .put_grant(Grant {
            expires_at_ms: Some(u64::MAX),
            ..grant("p", CapabilityId::LogWrite, None)
        })
        .await
        .unwrap();
    let left: Vec<_> = store
        .grants("p")
        .await
        .unwrap()
        .into_iter()
        .map(|grant| grant.capability)
        .collect();
    assert_eq!(
        left,
        [
            CapabilityId::HttpFetch,
            CapabilityId::LogWrite,
            CapabilityId::StorageKv
        ],
        "what has run out is not there"
    );
    assert_eq!(
        store
            .delete_grant("p", CapabilityId::HttpFetch, None)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        store.grants("q").await.unwrap().len(),
        1,
        "another plugin's grants stay"
    );
}

#[tokio::test]
async fn grants_are_bounded() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for at in 0..GRANTS_PER_PLUGIN_MAX {
        store
            .put_grant(grant(
                "p",
                CapabilityId::HttpFetch,
                Some(&[&format!("h{at}.example")]),
            ))
            .await
            .unwrap();
    }
    assert_eq!(
        code(
            store
                .put_grant(grant("p", CapabilityId::HttpFetch, Some(&["more.example"])))
                .await
        ),
        "QUOTA_EXCEEDED"
    );
    let hosts: Vec<String> = (0..2_000).map(|at| format!("h{at}.example")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let large = grant("q", CapabilityId::HttpFetch, Some(&hosts));
    assert_eq!(code(store.put_grant(large).await), "TOO_LARGE");
    let illegal = grant("q", CapabilityId::HttpFetch, Some(&["-x.example"]));
    assert_eq!(code(store.put_grant(illegal).await), "BAD_SCOPE");
}

fn ask(plugin: &str, target: &str) -> NewConsent {
    NewConsent {
        plugin: plugin.into(),
        capability: CapabilityId::HttpFetch,
        target: target.into(),
        reason: Some("to tell".into()),
    }
}

#[tokio::test]
async fn a_question_is_put_once_and_answered_once() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let first = store.ask_consent(ask("p", "a.example")).await.unwrap();
    assert_eq!(
        store.ask_consent(ask("p", "a.example")).await.unwrap(),
        first,
        "asked again, it is the same question"
    );
    let other = store.ask_consent(ask("p", "b.example")).await.unwrap();
    assert!(first.id != other.id && first.state == ConsentState::Pending);
    assert_ne!(
        store.ask_consent(ask("q", "a.example")).await.unwrap().id,
        first.id
    );
    drop(store);
    let store = fixture.open();
    assert_eq!(
        store
            .consents(Some("p"), Some(ConsentState::Pending))
            .await
            .unwrap()
            .len(),
        2
    );
    let decision = Decision {
        allow: true,
        by: "olga".into(),
        grant: Some(grant("p", CapabilityId::HttpFetch, Some(&["a.example"]))),
    };
    let decided = store
        .decide_consent(&first.id, decision.clone())
        .await
        .unwrap();
    assert_eq!(
        (decided.state, decided.by.as_deref()),
        (ConsentState::Allowed, Some("olga"))
    );
    assert_eq!(
        store.grants("p").await.unwrap().len(),
        1,
        "the grant is there with the decision"
    );
    assert_eq!(
        code(store.decide_consent(&first.id, decision.clone()).await),
        "CONFLICT"
    );
    assert_eq!(
        code(store.decide_consent("unknown", decision).await),
        "NOT_FOUND"
    );
    let again = store.ask_consent(ask("p", "a.example")).await.unwrap();
    assert_ne!(
        again.id, first.id,
        "a question after the answer is a new one"
    );
    assert_eq!(
        store
            .consent(&first.id)
            .await
            .unwrap()
            .map(|consent| consent.state),
        Some(ConsentState::Allowed)
    );
    assert_eq!(store.consents(None, None).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_plugin_cannot_flood_people_with_questions() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for at in 0..CONSENTS_WAITING_PER_PLUGIN_MAX {
        store.ask_consent(ask("p", &at.to_string())).await.unwrap();
    }
    assert_eq!(
        code(store.ask_consent(ask("p", "more")).await),
        "QUOTA_EXCEEDED"
    );
    store
        .ask_consent(ask("p", "0"))
        .await
        .expect("what waits already is found");
    store
        .ask_consent(ask("q", "more"))
        .await
        .expect("another plugin has its own share");
    let shown = store
        .ask_consent(ask("q", "evil\u{1b}[2J\u{202e}"))
        .await
        .unwrap();
    assert_eq!(shown.target, "evil\\u{1b}[2J\\u{202e}");
    assert_eq!(
        code(store.ask_consent(ask("q", &"x".repeat(5_000))).await),
        "TOO_LARGE"
    );
}

#[tokio::test]
async fn switches_stay_where_they_were() {
    let fixture = Fixture::new();
    let store = fixture.open();
    store
        .switch(Some("A_B"), Some("REST, by olga"), 5)
        .await
        .unwrap();
    store.switch(None, Some("REST, by olga"), 6).await.unwrap();
    store.switch(None, Some("somebody else"), 7).await.unwrap();
    drop(store);
    let store = fixture.open();
    let on = |switches: Vec<Switch>| {
        switches
            .into_iter()
            .map(|switch| (switch.plugin, switch.by))
            .collect::<Vec<_>>()
    };
    let by = || "REST, by olga".to_owned();
    assert_eq!(
        on(store.switches().await.unwrap()),
        [(None, by()), (Some("A_B".into()), by())],
        "who threw it first is named"
    );
    store.switch(None, None, 8).await.unwrap();
    assert_eq!(
        on(store.switches().await.unwrap()),
        [(Some("A_B".into()), by())]
    );
    for at in 1..=limits::capability::ENVIRONMENT_WORDS_MAX {
        store
            .switch(Some(&format!("P{at}")), Some("olga"), 9)
            .await
            .unwrap();
    }
    assert_eq!(
        code(store.switch(Some("ONE_MORE"), Some("olga"), 9).await),
        "QUOTA_EXCEEDED"
    );
}
