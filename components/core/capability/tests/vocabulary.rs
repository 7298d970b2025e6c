//! The vocabulary of capabilities, its suggestions and its scopes.

use capability::{BadScope, CapabilityId, Request, ScopeKey, Source, VOCABULARY};
use std::collections::BTreeSet;

#[test]
fn sixty_five_different_ids_of_which_thirty_six_are_the_clients() {
    let names: BTreeSet<&str> = VOCABULARY.iter().map(|entry| entry.name).collect();
    assert_eq!((names.len(), VOCABULARY.len()), (65, 65));
    assert_eq!(
        VOCABULARY
            .iter()
            .filter(|entry| entry.source == Source::Client)
            .count(),
        36
    );
    assert_eq!(
        VOCABULARY
            .iter()
            .filter(|entry| entry.always)
            .map(|entry| entry.name)
            .collect::<Vec<_>>(),
        ["log.write"]
    );
}

#[test]
fn each_id_reads_back_and_stands_at_its_own_place() {
    for (index, entry) in VOCABULARY.iter().enumerate() {
        assert_eq!(entry.id as usize, index);
        assert_eq!(entry.name.parse::<CapabilityId>(), Ok(entry.id));
        assert_eq!(
            serde_json::to_string(&entry.id).unwrap(),
            format!("{:?}", entry.name)
        );
        assert!(
            entry
                .summary
                .starts_with(|letter: char| letter.is_ascii_lowercase())
                && !entry.summary.ends_with('.'),
            "{}",
            entry.name
        );
    }
}

#[test]
fn unknown_ids_come_with_a_suggestion_where_one_is_near() {
    let meant = |text: &str| {
        text.parse::<CapabilityId>()
            .unwrap_err()
            .suggestion
            .map(CapabilityId::as_str)
    };
    assert_eq!(meant("message.send"), Some("messages.send"));
    assert_eq!(meant("Messages.Send"), Some("messages.send"));
    assert_eq!(meant(" messages.send"), Some("messages.send"));
    assert_eq!(meant("http.fecth"), Some("http.fetch"));
    assert_eq!(meant("network"), Some("http.fetch"));
    assert_eq!(meant("foo.bar"), None);
    assert_eq!(meant("*"), None);
    assert_eq!(meant("messages.*"), None);
    assert_eq!(meant(&"a.".repeat(10_000)), None);
}

#[test]
fn a_letter_of_another_alphabet_is_named() {
    let error = "messаges.send".parse::<CapabilityId>().unwrap_err();
    assert_eq!(
        (error.foreign, error.suggestion),
        (Some('а'), Some(CapabilityId::MessagesSend))
    );
}

#[test]
fn a_scope_key_has_to_fit_its_capability() {
    let request: Request = serde_json::from_str(
        r#"{"id":"http.fetch","hosts":["*.a.org","https://x"],"names":["n"]}"#,
    )
    .unwrap();
    let faults = request.scope.check(request.id);
    assert!(
        matches!(
            faults[0],
            BadScope::Key {
                capability: CapabilityId::HttpFetch,
                key: ScopeKey::Names
            }
        ),
        "{faults:?}"
    );
    assert!(
        matches!(faults[1], BadScope::Host { index: 1, .. }),
        "{faults:?}"
    );
    assert_eq!(
        faults[0].to_string(),
        "capability http.fetch takes no scope \"names\""
    );
    let bare: Request = serde_json::from_str(r#""log.write""#).unwrap();
    assert!(bare.scope.check(bare.id).is_empty() && bare.scope.is_everything() && !bare.optional);
    assert_eq!(
        serde_json::to_value(&bare).unwrap(),
        serde_json::json!({"id": "log.write"})
    );
}
