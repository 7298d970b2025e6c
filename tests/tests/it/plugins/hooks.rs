//! Hooks: the verdict of all plugins, what they replace, and what happens if one fails. Tools, and the hooks around their
//! calls.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tests::{host::Host, plugins::Directory, root, until};

/// A run of a hook.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// Requirement that the case proves; metadata.
    #[serde(rename = "case")]
    _case: String,
    name: String,
    hook: Option<String>,
    input: Value,
    output: Option<Value>,
    actions: Vec<String>,
    expect: Map<String, Value>,
}

/// A call of a tool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    /// Requirement that the case proves; metadata.
    #[serde(rename = "case")]
    _case: String,
    name: String,
    tool: String,
    arguments: Value,
    status: u16,
    expect: Map<String, Value>,
    #[serde(default)]
    says: String,
}

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = root().join(format!("tests/cases/hooks/{name}.json"));
    let text = std::fs::read_to_string(path).expect("cases");
    serde_json::from_str(&text).expect("a list of cases")
}

const PLUGINS: [&str; 3] = ["tests.probe", "tests.other", "tests.third"];

/// Three copies of the probe in load order; `change` may change each manifest.
fn install(directory: &Directory, change: impl Fn(&str, &mut Value)) {
    for (at, id) in PLUGINS.into_iter().enumerate() {
        directory.install_as("plugin-probe", id, |manifest| {
            manifest["hooks"] =
                json!(["PreToolUse", "PostToolUse", "PostToolUseFailure", "TurnEnd"]);
            if id == "tests.third" {
                manifest["tools"] = json!([]);
            }
            if id == "tests.other" {
                manifest["tools"].as_array_mut().expect("tools").truncate(1);
            }
            if at > 0 {
                manifest["relationships"] = json!({"after": [{"id": PLUGINS[at - 1]}]});
            }
            change(id, manifest);
        });
    }
}

fn log_of(host: &Host, id: &str) -> String {
    let path = format!("/api/plugins/{id}/logs?page_size=100");
    host.admin("GET", &path, &Value::Null).expect(200).text()
}

fn start(directory: &Directory, configuration: &str) -> Host {
    let host = directory.settings().config(configuration).start();
    for id in PLUGINS {
        host.plugin_in(id, "loaded");
        host.grant_all(id);
    }
    host
}

fn fire(host: &Host, hook: &str, input: &Value, output: Option<&Value>) -> Value {
    let mut body = json!({"input": input});
    if let Some(output) = output {
        body["output"] = output.clone();
    }
    let path = format!("/api/hooks/{hook}");
    host.admin("POST", &path, &body).expect(200).json()
}

/// Whether a failure of the plugin is a denial.
fn refuses(host: &Host, id: &str) -> bool {
    let mut input = Map::new();
    input.insert(id.to_owned(), json!({"do": "fail"}));
    let run = fire(host, "PreToolUse", &input.into(), None);
    assert!(run["answers"].to_string().contains("told to fail"), "{run}");
    run["verdict"] == "deny"
}

#[test]
fn every_run_ends_as_its_case_says() {
    let directory = Directory::default();
    install(&directory, |id, manifest| {
        if id == "tests.third" {
            manifest["onFailure"] = json!("refuse");
        }
    });
    let host = start(&directory, "[plugins]\non_failure = \"pass\"\n");
    for case in cases::<Run>("runs") {
        let hook = case.hook.as_deref().unwrap_or("PreToolUse");
        let run = fire(&host, hook, &case.input, case.output.as_ref());
        let answers = run["answers"].as_array().expect("answers");
        let actions: Vec<&Value> = answers.iter().map(|answer| &answer["action"]).collect();
        assert_eq!(
            actions,
            case.actions.iter().collect::<Vec<_>>(),
            "{}: {run}",
            case.name
        );
        for (member, value) in &case.expect {
            assert_eq!(&run[member], value, "{}: {member} of {run}", case.name);
        }
    }
    let path = "/api/plugins/audit?recent=1000&plugin=tests.other";
    let audit = host.admin("GET", path, &Value::Null).expect(200).text();
    assert!(
        audit.contains("not today"),
        "a denial is in the audit: {audit}"
    );
    let log = log_of(&host, "tests.probe");
    assert!(
        log.contains("its output is not JSON"),
        "a failure is in the log: {log}"
    );
}

#[test]
fn the_stricter_policy_holds_unless_the_operator_names_the_plugin() {
    let directory = Directory::default();
    install(&directory, |id, manifest| {
        if id != "tests.probe" {
            manifest["onFailure"] = json!(if id == "tests.other" {
                "refuse"
            } else {
                "pass"
            });
        }
    });
    let own =
        |on_failure| format!("[plugins.by_id.\"tests.other\"]\non_failure = \"{on_failure}\"\n");
    let global = "[plugins]\non_failure = \"pass\"\n";
    for (configuration, expected) in [
        (String::new(), [true, true, true]),
        (own("pass"), [true, false, true]),
        (global.to_owned(), [false, true, false]),
        (global.to_owned() + &own("pass"), [false, false, false]),
    ] {
        let host = start(&directory, &configuration);
        let found = PLUGINS.map(|id| refuses(&host, id));
        assert_eq!(found, expected, "{configuration}");
    }
}

#[test]
fn a_hook_waits_for_no_plugin_that_crashed_but_does_not_pass_it_over() {
    let directory = Directory::default();
    install(&directory, |_, _| {});
    let host = start(&directory, "");
    until("a run while the plugin is being started again", || {
        host.plugin_in("tests.other", "loaded");
        let panic = json!({"tests.other": {"do": "panic"}});
        let run = fire(&host, "PreToolUse", &panic, None);
        assert_eq!(run["verdict"], "deny", "{run}");
        assert_eq!(run["pluginId"], "tests.other", "{run}");
        // The wait before a restart doubles with each crash, so that one of these runs falls into it.
        let run = fire(&host, "PreToolUse", &json!({}), None);
        let reason = run["reason"].as_str().unwrap_or_default();
        reason.contains("started again").then_some(())
    });
    host.plugin_in("tests.other", "loaded");
    let run = fire(&host, "PreToolUse", &json!({}), None);
    assert_eq!(run["verdict"], "continue", "{run}");
}

#[test]
fn every_call_of_a_tool_ends_as_its_case_says() {
    let directory = Directory::default();
    install(&directory, |_, _| {});
    let host = start(&directory, "");
    for case in cases::<Call>("calls") {
        let path = format!("/api/tools/{}", case.tool);
        let answer = host.admin("POST", &path, &case.arguments);
        assert_eq!(
            answer.status,
            case.status,
            "{}: {}",
            case.name,
            answer.text()
        );
        let body = answer.json();
        for (member, value) in &case.expect {
            assert_eq!(&body[member], value, "{}: {member} of {body}", case.name);
        }
        assert!(
            body.to_string().contains(&case.says),
            "{}: {body}",
            case.name
        );
    }
    let log = log_of(&host, "tests.third");
    assert!(
        log.contains("hook PostToolUseFailure: told to fail"),
        "a failed call is announced: {log}"
    );
    let path = "/api/plugins/audit?recent=1000&plugin=tests.third";
    let audit = host.admin("GET", path, &Value::Null).expect(200).json();
    let entries = audit["entries"].as_array().expect("entries");
    let block = entries.iter().find(|entry| entry["reason"] == "too risky");
    let block = block.unwrap_or_else(|| panic!("the block is in the audit: {audit}"));
    assert_eq!(block["decision"], "denied", "{block}");
    assert_eq!(block["action"], "PreToolUse", "{block}");
    assert_eq!(block["resource"], "plugin:tests.probe:double", "{block}");
    let tools = host
        .admin("GET", "/api/tools", &Value::Null)
        .expect(200)
        .json();
    let tools = tools["tools"].as_array().expect("tools");
    let names: Vec<&Value> = tools.iter().map(|tool| &tool["name"]).collect();
    assert_eq!(
        names,
        [
            "plugin:tests.probe:double",
            "plugin:tests.probe:fail",
            "plugin:tests.other:double"
        ]
    );
}

#[test]
fn a_tool_whose_schema_cannot_be_compiled_keeps_its_plugin_from_being_loaded() {
    let directory = Directory::default();
    let mut text = String::new();
    directory.install("plugin-probe", |manifest| {
        manifest["tools"][0]["parameters"] = json!({"type": "object", "pattern": "(?=a)"});
        text = manifest.to_string();
    });
    let host = directory.settings().start();
    let blocked = host.plugin_in("tests.probe", "blocked").to_string();
    assert!(blocked.contains("/tools/0/parameters"), "{blocked}");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let checked = host.admin("POST", "/api/plugins/check", &manifest);
    let checked = checked.expect(200).json();
    assert_eq!(checked["ok"], false, "{checked}");
    let violations = checked["violations"].as_array().expect("violations");
    let found = violations
        .iter()
        .find(|found| found["code"] == "BAD_SCHEMA");
    let found = found.unwrap_or_else(|| panic!("{checked}"));
    assert_eq!(found["pointer"], "/tools/0/parameters");
}
