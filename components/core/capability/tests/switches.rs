//! Kill switches, modes from several sources.

use capability::{
    CapabilityId, CapabilityUse, Environment, Mode, PluginRules, Policy, Reason, Rules, Target,
    decide, switch_name,
};

fn read(variables: &[(&str, &str)]) -> Environment {
    Environment::read(variables.iter().copied()).unwrap()
}

#[test]
fn a_switch_is_off_when_empty_zero_or_false_and_on_otherwise() {
    for (value, on) in [
        ("1", true),
        ("true", true),
        ("yes", true),
        (" 1 ", true),
        ("0", false),
        ("", false),
        ("False", false),
        (" ", false),
    ] {
        for prefix in ["JACKFIELD", "JCODE"] {
            let name = format!("{prefix}_DISABLE_PLUGINS");
            assert_eq!(
                read(&[(&name, value)]).kill.disable.is_some(),
                on,
                "{name}={value:?}"
            );
        }
    }
    assert_eq!(
        read(&[("DISABLE_PLUGINS", "1"), ("OTHER", "1")]),
        Environment::default()
    );
}

#[test]
fn each_switch_stops_what_it_says_and_the_first_is_named() {
    let stops = |variables: &[(&str, &str)], id| {
        read(variables).kill.stops(id).map(|kill| kill.to_string())
    };
    let (disable, skip, worker) = (
        ("JCODE_DISABLE_PLUGINS", "1"),
        ("JCODE_SKIP_PLUGINS", "1"),
        ("JCODE_TEAM_WORKER", "1"),
    );
    let (hooks, tools) = (CapabilityId::HooksSubscribe, CapabilityId::ToolsRegister);
    for (variables, hooks_say, tools_say) in [
        (&[][..], None, None),
        (
            &[disable],
            Some("Plugins are disabled via JCODE_DISABLE_PLUGINS"),
            Some("Plugins are disabled via JCODE_DISABLE_PLUGINS"),
        ),
        (
            &[skip],
            Some("hooks are skipped via JCODE_SKIP_PLUGINS"),
            None,
        ),
        (
            &[worker],
            Some("denied via JCODE_TEAM_WORKER"),
            Some("denied via JCODE_TEAM_WORKER"),
        ),
        (
            &[skip, worker],
            Some("hooks are skipped via JCODE_SKIP_PLUGINS"),
            Some("denied via JCODE_TEAM_WORKER"),
        ),
        (
            &[worker, skip, disable],
            Some("Plugins are disabled via JCODE_DISABLE_PLUGINS"),
            Some("Plugins are disabled via JCODE_DISABLE_PLUGINS"),
        ),
        (
            &[("JCODE_TEAM_WORKER", "0"), ("JACKFIELD_TEAM_WORKER", "1")],
            Some("denied via JACKFIELD_TEAM_WORKER"),
            Some("denied via JACKFIELD_TEAM_WORKER"),
        ),
    ] {
        assert_eq!(
            stops(variables, hooks).as_deref(),
            hooks_say,
            "{variables:?}"
        );
        assert_eq!(
            stops(variables, tools).as_deref(),
            tools_say,
            "{variables:?}"
        );
    }
    let kill = read(&[worker]).kill;
    let plugin = PluginRules {
        declared: Rules::whole([tools]),
        granted: Rules::whole([tools]),
        ..PluginRules::default()
    };
    let decision = decide(
        &CapabilityUse::any(tools),
        &plugin,
        &Policy {
            kill,
            mode: Mode::Permissive,
            ..Policy::default()
        },
    );
    assert_eq!(
        (decision.layer, decision.reason.text()),
        (0, "disabled (kill switch)")
    );
    let log = decide(
        &CapabilityUse::any(CapabilityId::LogWrite),
        &plugin,
        &Policy {
            kill: read(&[disable]).kill,
            ..Policy::default()
        },
    );
    assert_eq!(
        log.reason,
        Reason::Killed,
        "what everybody holds is killed as well"
    );
}

#[test]
fn one_plugin_is_killed_by_its_name() {
    assert_eq!(switch_name("acme.polls-2"), "ACME_POLLS_2");
    let environment = read(&[
        ("JACKFIELD_KILL_ACME_POLLS", "1"),
        ("JCODE_PLUGIN_KILL_OTHER", "1"),
        ("JCODE_KILL_SPARED", "0"),
        ("JCODE_KILL_", "1"),
    ]);
    let mut kill = environment.kill;
    for (id, killed) in [
        ("acme.polls", true),
        ("acme-polls", true),
        ("other", true),
        ("spared", false),
        ("polls", false),
        ("", false),
    ] {
        assert_eq!(kill.kills(id), killed, "{id}");
    }
    kill.kill("polls").unwrap();
    kill.revive("acme.polls");
    assert!(kill.kills("polls") && !kill.kills("acme.polls"));
}

#[test]
fn the_environment_may_only_be_stricter() {
    use Mode::{Disabled, Permissive, Prompt, Strict};
    for (environment, configuration, flag, effective) in [
        (None, None, None, Prompt),
        (None, None, Some(Strict), Strict),
        (None, None, Some(Permissive), Permissive),
        (None, Some(Permissive), Some(Strict), Permissive),
        (None, Some(Strict), Some(Permissive), Strict),
        (Some(Strict), Some(Permissive), None, Strict),
        (Some(Permissive), Some(Strict), None, Strict),
        (Some(Permissive), None, None, Permissive),
        (Some(Disabled), Some(Permissive), Some(Permissive), Disabled),
        (Some(Prompt), None, Some(Disabled), Disabled),
    ] {
        assert_eq!(
            Mode::effective(environment, configuration, flag),
            effective,
            "{environment:?} {configuration:?} {flag:?}"
        );
    }
    assert_eq!(
        read(&[
            ("JCODE_PLUGIN_MODE", "none"),
            ("JACKFIELD_PLUGIN_MODE", "all")
        ])
        .mode,
        Some(Disabled)
    );
    assert_eq!(read(&[("JCODE_PLUGIN_MODE", "")]).mode, None);
    let error = Environment::read([("JCODE_PLUGIN_MODE", "strickt")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "JCODE_PLUGIN_MODE: mode must be permissive, prompt, strict or disabled"
    );
}

#[test]
fn denied_words_are_programs_tools_or_capabilities() {
    let environment = read(&[
        ("JCODE_PLUGIN_DENY", "rm, chmod,,http.fetch"),
        ("JCODE_PLUGIN_DIR", "/old"),
        ("JACKFIELD_PLUGIN_DIR", "/new"),
    ]);
    assert_eq!(environment.directory.as_deref(), Some("/new"));
    let deny = Rules::from_grants(&environment.deny).unwrap();
    let denied = |id, target| deny.covers(&CapabilityUse::new(id, target));
    assert!(
        denied(CapabilityId::ShellExec, Target::name("rm"))
            && denied(CapabilityId::ToolsCall, Target::name("chmod"))
    );
    assert!(denied(CapabilityId::HttpFetch, Target::host("a.org", 443)));
    assert!(!denied(CapabilityId::ShellExec, Target::name("ls")));
    for word in ["HTTP.FETCH", "network", "Messages.EditOwn"] {
        let environment = read(&[("JACKFIELD_PLUGIN_DENY", word)]);
        let whole = environment.deny.iter().map(|grant| grant.capability);
        assert!(
            whole.eq([match word {
                "Messages.EditOwn" => CapabilityId::MessagesEditOwn,
                _ => CapabilityId::HttpFetch,
            }]),
            "{word}"
        );
    }
    let misspelt = Environment::read([("JACKFIELD_PLUGIN_DENY", "http.fetsh")]);
    assert!(misspelt.unwrap_err().to_string().contains("http.fetsh"));
}
