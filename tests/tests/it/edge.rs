//! Gateway and edge in separate processes: `--edge URL`, the change feed, an edge that dies.

use serde_json::json;
use tests::{
    client::Client,
    host::{Host, Settings},
    until,
};

/// An edge, and a gateway that knows only its address. The edge pushes nothing: changes arrive by
/// polling.
fn pair() -> (Host, Host) {
    let edge = Host::start();
    let gateway = Settings::new().arguments(&["--edge", edge.url()]).start();
    (edge, gateway)
}

#[test]
fn a_remote_edge_serves_a_gateway() {
    let (edge, gateway) = pair();
    edge.create_server("olga", "remote");
    let mut client = Client::joined(&gateway, "guest", "remote");
    edge.require(
        "olga",
        "remote",
        "example.polls",
        &json!({"status": "required"}),
    );
    let told = client.find("the requirement, by the poll", |frame| {
        frame["type"] == "plugin_requirements" && frame["requirements"] != json!([])
    });
    assert_eq!(told["requirements"][0]["pluginId"], "example.polls");
    let proxied = gateway
        .get("/api/servers/remote/plugins")
        .expect(200)
        .json();
    assert_eq!(
        proxied["requirements"][0]["pluginId"], "example.polls",
        "one URL is enough for clients"
    );
}

/// What a gateway asks is no client's request: it uses up neither the rate nor the places of its address.
#[test]
fn the_questions_of_a_gateway_are_not_those_of_a_client() {
    let edge = Settings::new()
        .config("[rest.per_address]\nper_second = 1\nburst = 20\n")
        .start();
    let gateway = Settings::new().arguments(&["--edge", edge.url()]).start();
    let mut client = Client::identified(&gateway, "guest");
    for number in 0..60 {
        client.send(json!({"type": "join_server", "serverId": format!("unknown-{number}")}));
        let denied = client.expect("access_denied");
        assert_eq!(denied["code"], "NOT_FOUND", "{denied}");
    }
}

#[test]
fn the_gateway_keeps_running_when_its_edge_dies() {
    let (edge, gateway) = pair();
    for server in ["known", "unknown"] {
        edge.create_server("olga", server);
    }
    let mut alice = Client::joined(&gateway, "alice", "known");
    let mut bob = Client::joined(&gateway, "bob", "known");
    edge.kill();
    until("readiness says degraded", || {
        let ready = gateway.get("/readyz");
        ready.text().contains("degraded").then_some(())
    });
    assert_eq!(gateway.get("/healthz").status, 200);
    alice.send(json!({"type": "chat_message", "serverId": "known", "message": "still here"}));
    assert_eq!(
        bob.expect("chat_message")["message"],
        "still here",
        "members stay"
    );

    let mut carol = Client::connect(&gateway, "carol");
    carol.identify(json!({}));
    let denied = alice.refused(
        json!({"type": "join_server", "serverId": "unknown"}),
        "EDGE_UNAVAILABLE",
    );
    assert!(
        denied["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0),
        "{denied}"
    );
    let answer = gateway.get("/api/servers/known/plugins");
    assert!((500..600).contains(&answer.status), "{}", answer.status);
    assert!(answer.json()["code"].is_string());
}

#[test]
fn polling_finds_changes_whose_push_was_lost() {
    let host = Settings::new()
        .config("[edge.variables]\ngateway_urls = \"\"\n")
        .start();
    host.create_server("olga", "polled");
    let mut client = Client::joined(&host, "guest", "polled");
    host.require(
        "olga",
        "polled",
        "example.polls",
        &json!({"status": "optional"}),
    );
    client.find("the requirement", |frame| {
        frame["type"] == "plugin_requirements" && frame["requirements"] != json!([])
    });
}

/// Paths that need a plugin host answer 501 where there is none.
#[test]
fn without_a_plugin_host_its_paths_answer_501() {
    let host = Settings::new()
        .config("[plugins]\nenabled = false\n")
        .start();
    for path in [
        "/api/plugins",
        "/api/plugins/route/polls/x",
        "/api/consents/1",
        "/api/capabilities/check",
        "/api/tools/x",
        "/api/hooks",
    ] {
        let answer = host.get(path);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (501, &json!("UNSUPPORTED_ON_EDGE")),
            "{path}: {}",
            answer.text()
        );
    }
    assert_eq!(host.get("/api/pluginsx").status, 404);
}
