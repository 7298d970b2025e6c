//! Decisions by layer, mode and scope.

use capability::{
    CapabilityId, CapabilityUse, Decision, DefaultOutcome, Grant, Mode, Outcome, PluginRules,
    Policy, PolicySettings, Profile, Reason, Refusal, Request, Rules, Scope, Target, decide,
    switch_name,
};
use serde::Deserialize;

const ID: CapabilityId = CapabilityId::HttpFetch;

fn rules(held: bool) -> Rules {
    if held {
        Rules::whole([ID])
    } else {
        Rules::default()
    }
}

#[test]
fn every_combination_of_the_lists_with_every_mode() {
    let table = include_str!("../../../../tests/cases/capability/chain.txt");
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(rows.len(), 64, "2^4 combinations in four modes");
    for row in rows {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [
            denied,
            global,
            granted,
            default,
            mode,
            "|",
            layer,
            outcome,
            reason @ ..,
        ] = words.as_slice()
        else {
            panic!("{row}")
        };
        let plugin = PluginRules {
            declared: rules(true),
            denied: rules(*denied == "1"),
            granted: rules(*granted == "1"),
            ..PluginRules::default()
        };
        let policy = Policy {
            deny: rules(*global == "1"),
            allow: rules(*default == "1"),
            mode: mode.parse().unwrap(),
            ..Policy::default()
        };
        let decision = decide(&CapabilityUse::any(ID), &plugin, &policy);
        assert_eq!(
            serde_json::to_value(decision.outcome).unwrap(),
            *outcome,
            "{row}"
        );
        assert_eq!(
            (decision.layer.to_string(), decision.reason.text()),
            ((*layer).to_owned(), &*reason.join(" ")),
            "{row}"
        );
        let undeclared = PluginRules {
            declared: Rules::default(),
            ..plugin
        };
        assert_eq!(
            decide(&CapabilityUse::any(ID), &undeclared, &policy).outcome,
            Outcome::Deny,
            "{row}"
        );
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    id: CapabilityId,
    host: Option<String>,
    port: Option<u16>,
    method: Option<String>,
    path: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    says: String,
    declared: Vec<Request>,
    #[serde(default)]
    denied: Vec<Request>,
    granted: Vec<Request>,
    asked: Question,
    reason: String,
}

#[test]
fn scopes_reach_as_far_as_they_say() {
    let cases: Vec<Case> = serde_json::from_str(include_str!(
        "../../../../tests/cases/capability/scopes.json"
    ))
    .unwrap();
    for case in cases {
        let compiled = |requests: &[Request]| Rules::from_requests(requests).unwrap();
        let plugin = PluginRules {
            declared: compiled(&case.declared),
            denied: compiled(&case.denied),
            granted: compiled(&case.granted),
            ..PluginRules::default()
        };
        let Question {
            id,
            host,
            port,
            method,
            path,
            name,
        } = &case.asked;
        let target = Target {
            host: host.as_deref(),
            port: *port,
            method: method.as_deref(),
            path: path.as_deref(),
            name: name.as_deref(),
        };
        let decision = decide(
            &CapabilityUse::new(*id, target),
            &plugin,
            &Policy::default(),
        );
        assert_eq!(decision.reason.text(), case.reason, "{}", case.says);
    }
}

#[test]
fn the_operators_default_and_the_plugins_mode() {
    let declared = PluginRules {
        declared: rules(true),
        ..PluginRules::default()
    };
    let reason = |plugin: &PluginRules, policy: &Policy| {
        decide(&CapabilityUse::any(ID), plugin, policy).reason
    };
    for (default, expected, text) in [
        (
            DefaultOutcome::Allow,
            Reason::DefaultAllow,
            "allowed by default",
        ),
        (
            DefaultOutcome::Deny,
            Reason::DefaultDeny,
            "denied by default",
        ),
        (DefaultOutcome::Ask, Reason::DefaultAsk, "requires approval"),
    ] {
        for mode in [Mode::Permissive, Mode::Prompt, Mode::Strict] {
            let decision = decide(
                &CapabilityUse::any(ID),
                &declared,
                &Policy {
                    default: Some(default),
                    mode,
                    ..Policy::default()
                },
            );
            assert_eq!(
                (decision.reason, decision.layer, decision.reason.text()),
                (expected, 4, text)
            );
        }
    }
    let permissive = Policy {
        mode: Mode::Permissive,
        ..Policy::default()
    };
    let strict = PluginRules {
        mode: Some(Mode::Strict),
        ..declared.clone()
    };
    assert_eq!(
        reason(&strict, &permissive),
        Reason::Strict,
        "a plugin's mode overrides the policy's"
    );
    let lenient = PluginRules {
        mode: Some(Mode::Permissive),
        ..declared.clone()
    };
    assert_eq!(reason(&lenient, &Policy::default()), Reason::Permissive);
    let off = Policy {
        mode: Mode::Disabled,
        ..Policy::default()
    };
    assert_eq!(
        reason(&lenient, &off),
        Reason::Killed,
        "but it does not lift a kill switch"
    );
    assert_eq!(
        reason(
            &PluginRules {
                switch_name: switch_name("a.b").into(),
                granted: rules(true),
                ..declared
            },
            &{
                let mut switched = permissive;
                switched.kill.kill("a.b").unwrap();
                switched
            }
        ),
        Reason::Killed
    );
}

#[test]
fn refusals_tell_what_would_help() {
    for (reason, refusal) in [
        (Reason::NotDeclared, Some("not-declared")),
        (Reason::OutsideDeclaration, Some("not-declared")),
        (Reason::Strict, Some("not-granted")),
        (Reason::DefaultDeny, Some("not-granted")),
        (Reason::Prompt, Some("consent-pending")),
        (Reason::DefaultAsk, Some("consent-pending")),
        (Reason::GlobalDeny, Some("denied")),
        (Reason::PluginDeny, Some("denied")),
        (Reason::Killed, Some("denied")),
        (Reason::Granted, None),
        (Reason::Permissive, None),
    ] {
        let decision = Decision::because(reason);
        assert_eq!(decision.refusal().map(Refusal::code), refusal, "{reason:?}");
        assert_eq!(decision.is_allowed(), refusal.is_none(), "{reason:?}");
    }
}

#[test]
fn the_page_names_every_ground_and_no_two_grounds_are_alike() {
    let page = capability::decisions_markdown();
    let mut seen = std::collections::BTreeSet::new();
    for reason in Reason::ALL {
        let Decision { layer, .. } = Decision::because(reason);
        assert!(
            page.contains(&format!("| {layer} | {} |", reason.text())),
            "{reason:?}"
        );
        assert!(seen.insert((layer, reason.text())), "{reason:?}");
    }
    assert_eq!(
        page.lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| layer"))
            .count(),
        Reason::ALL.len()
    );
}

#[test]
fn a_consent_allows_what_was_asked_and_revoking_ends_it() {
    let declared = Rules::from_requests(&[Request::unscoped(ID)]).unwrap();
    let asked = CapabilityUse::new(
        ID,
        Target::host("a.org", 443)
            .with_method("GET")
            .with_path("/x"),
    );
    let grant: Grant = serde_json::from_value(serde_json::json!({
        "capability": "http.fetch", "scope": {"hosts": ["a.org"], "ports": [443]},
    }))
    .unwrap();
    let granted = PluginRules {
        declared: declared.clone(),
        granted: Rules::from_grants(&[grant]).unwrap(),
        ..PluginRules::default()
    };
    let outcome = |plugin: &PluginRules, target| {
        decide(&CapabilityUse::new(ID, target), plugin, &Policy::default()).outcome
    };
    assert_eq!(outcome(&granted, asked.target), Outcome::Allow);
    assert_eq!(
        outcome(
            &granted,
            Target::host("a.org", 443)
                .with_method("POST")
                .with_path("/y")
        ),
        Outcome::Allow
    );
    assert_eq!(outcome(&granted, Target::host("a.org", 80)), Outcome::Ask);
    assert_eq!(outcome(&granted, Target::host("b.org", 443)), Outcome::Ask);
    assert_eq!(
        outcome(
            &PluginRules {
                declared,
                ..PluginRules::default()
            },
            asked.target
        ),
        Outcome::Ask
    );
    let whole: Grant = serde_json::from_str(r#"{"capability":"storage.kv"}"#).unwrap();
    assert_eq!(whole, Grant::whole(CapabilityId::StorageKv));
}

#[test]
fn profiles_and_configuration_make_a_policy() {
    for (profile, mode) in [
        (Profile::Safe, Mode::Strict),
        (Profile::Standard, Mode::Prompt),
        (Profile::Permissive, Mode::Permissive),
    ] {
        let policy = profile.policy();
        assert_eq!(policy.mode, mode);
        let everything = PluginRules {
            declared: Rules::whole(CapabilityId::all()),
            granted: Rules::whole(CapabilityId::all()),
            ..PluginRules::default()
        };
        for id in Profile::DENIED {
            assert_eq!(
                decide(&CapabilityUse::any(id), &everything, &policy).reason,
                Reason::GlobalDeny,
                "{profile:?} {id}"
            );
        }
    }
    let settings: PolicySettings =
        serde_json::from_str(r#"{"profile":"safe","deny":[{"id":"http.fetch","hosts":["*.evil.com"]}],"allow":["storage.kv"]}"#).unwrap();
    let policy = settings.compile().unwrap();
    let plugin = PluginRules {
        declared: Rules::whole(CapabilityId::all()),
        ..PluginRules::default()
    };
    let reason = |id, target| decide(&CapabilityUse::new(id, target), &plugin, &policy).reason;
    assert_eq!(
        reason(ID, Target::host("a.evil.com", 443)),
        Reason::GlobalDeny
    );
    assert_eq!(reason(ID, Target::host("a.org", 443)), Reason::Strict);
    assert_eq!(
        reason(CapabilityId::StorageKv, Target::name("k")),
        Reason::DefaultList
    );
    assert_eq!(
        reason(CapabilityId::ShellExec, Target::name("rm")),
        Reason::Strict,
        "an own list replaces the profile's"
    );
    assert!(serde_json::from_str::<PolicySettings>(r#"{"denied":[]}"#).is_err());
}

#[test]
fn a_misspelt_key_is_refused_and_not_taken_for_every_target() {
    let refused = |text: &str| {
        let error = serde_json::from_str::<PolicySettings>(text).unwrap_err();
        error.to_string()
    };
    let error = refused(r#"{"allow":[{"id":"http.fetch","host":["a.org"]}]}"#);
    assert!(
        error.starts_with("unknown key \"host\" of a capability; did you mean \"hosts\"?"),
        "{error}"
    );
    assert!(refused(r#"{"allow":["http.fetsh"]}"#).contains("http.fetch"));
    assert!(refused(r#"{"allow":[{"hosts":["a.org"]}]}"#).contains("id"));
    assert!(serde_json::from_str::<Scope>(r#"{"host":["a.org"]}"#).is_err());
    let free = r#"{"allow":[{"id":"http.fetch","x-why":["a"],"hosts":["a.org"]}]}"#;
    let settings: PolicySettings = serde_json::from_str(free).unwrap();
    assert!(settings.allow[0].scope.hosts.is_some());
}

#[test]
fn rules_that_could_never_match_are_refused() {
    let compile = |scope: Scope| {
        Rules::new([(ID, &scope)]).map_err(|error| (error.code(), error.to_string()))
    };
    let text = |text: &str| Some(vec![text.to_owned()]);
    let kv = Scope {
        names: text("a*b"),
        ..Scope::default()
    };
    let error = Rules::new([(CapabilityId::StorageKv, &kv)]).unwrap_err();
    assert_eq!(
        (error.code(), &*error.to_string()),
        (
            "bad-star",
            "storage.kv: names[0]: \"a*b\" may hold a star only at its end"
        )
    );
    for (scope, code) in [
        (
            Scope {
                hosts: Some(Vec::new()),
                ..Scope::default()
            },
            "empty-list",
        ),
        (
            Scope {
                ports: Some(vec![443, 0]),
                ..Scope::default()
            },
            "bad-port",
        ),
        (
            Scope {
                hosts: text("https://a.org"),
                ..Scope::default()
            },
            "bad-host-pattern",
        ),
        (
            Scope {
                paths: text("/a/*/b"),
                ..Scope::default()
            },
            "bad-star",
        ),
        (
            Scope {
                paths: text("/a*"),
                ..Scope::default()
            },
            "bad-star",
        ),
        (
            Scope {
                names: text("a"),
                ..Scope::default()
            },
            "bad-scope-key",
        ),
    ] {
        assert_eq!(compile(scope).unwrap_err().0, code);
    }
    let many = Scope {
        ports: Some(vec![1]),
        ..Scope::default()
    };
    let error = Rules::new(std::iter::repeat_n(
        (ID, &many),
        limits::capability::RULES_MAX + 1,
    ))
    .unwrap_err();
    assert_eq!(
        (error.code(), &*error.to_string()),
        ("too-many-rules", "more than 10000 rules")
    );
}
