//! A whole session: two users on three devices, each with another third-party library.

use serde_json::{Value, json};
use tests::{client::Client, host::Host, http::Request};

const SERVER: &str = "session";
const PLUGIN: &str = "example.polls";

/// Tests with clients that `cargo xtask setup` installs.
mod foreign {
    use super::{Devices, run};
    use tests::{foreign::Library, host::Host};

    /// Alice uses npm `ws` and a browser (Chromium), Bob uses PyPI `websockets`.
    #[test]
    fn two_users_on_three_devices_through_a_whole_session() {
        let host = Host::start();
        run(
            &host,
            Devices {
                laptop: Library::Ws.connect(&host, "alice"),
                browser: Library::Browser.connect(&host, "alice"),
                bob: Library::Websockets.connect(&host, "bob"),
            },
        );
    }
}

/// The same session with our own client, which needs no installed tools.
#[test]
fn a_whole_session_with_our_own_client() {
    let host = Host::start();
    let [laptop, browser] = ["alice", "alice"].map(|name| Client::connect(&host, name));
    run(
        &host,
        Devices {
            laptop,
            browser,
            bob: Client::connect(&host, "bob"),
        },
    );
}

struct Devices {
    laptop: Client,
    browser: Client,
    bob: Client,
}

fn run(host: &Host, mut devices: Devices) {
    host.create_server("alice", SERVER);
    arrive(host, &mut devices);
    operators_see(host);
    content(&mut devices);
    call(&mut devices);
    direct(&mut devices);
    icons(&mut devices);
    requirement(host, &mut devices);
    plugin_event(host, &mut devices);
    depart(devices);
}

/// The list of connections, for operators.
fn operators_see(host: &Host) {
    let token = host.token("root", "admin");
    let request = Request::new("GET", "/api/connections").bearer(&token);
    let answer = host.send(&request).expect(200).json();
    let connections = answer["connections"].as_array().expect("a list");
    assert_eq!((connections.len(), &answer["total"]), (3, &json!(3)));
    let alice = connections.iter().filter(|one| one["oderId"] == "alice");
    let mut statuses = Vec::new();
    for connection in alice {
        let members = ["displayName", "description", "verified", "serverIds"];
        assert_eq!(
            members.map(|name| connection[name].clone()),
            [
                json!("ALICE"),
                json!("likes polls"),
                json!(true),
                json!([SERVER])
            ]
        );
        statuses.push(connection["status"].as_str().expect("a status"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses, ["away", "busy"], "of each device");
}

/// Identify, join, roster: an identity joins once, whatever its devices.
fn arrive(
    host: &Host,
    Devices {
        laptop,
        browser,
        bob,
    }: &mut Devices,
) {
    // Alice owns the server, so her name needs proof; Bob's does not.
    let token = host.token("alice", "client");
    for device in [&mut *laptop, browser] {
        device.identify(json!({"token": token, "description": "likes polls", "profileUpdatedAt": "2026-01-01T00:00:00Z"}));
        // One after the other, so that the browser is the newest device.
        assert!(device.settled().is_empty(), "the token is good");
    }
    bob.identify(json!({"profileUpdatedAt": 1_777_470_000_000_u64}));

    let (users, requirements) = laptop.join(SERVER);
    assert_eq!(users["users"], json!([]), "a roster lists the others");
    assert_eq!(
        (&requirements["serverId"], &requirements["requirements"]),
        (&json!(SERVER), &json!([]))
    );

    let (users, _) = bob.join(SERVER);
    assert_eq!(users["users"].as_array().map(Vec::len), Some(1));
    let alice = &users["users"][0];
    assert_eq!(
        (&alice["oderId"], &alice["displayName"], &alice["status"]),
        (&json!("alice"), &json!("ALICE"), &json!("online"))
    );
    assert_eq!(
        (&alice["verified"], &alice["description"]),
        (&json!(true), &json!("likes polls"))
    );
    assert_eq!(alice["profileUpdatedAt"], "2026-01-01T00:00:00Z");
    let arrived = laptop.expect("user_joined");
    assert_eq!(
        (&arrived["oderId"], &arrived["verified"]),
        (&json!("bob"), &json!(false))
    );

    let (users, _) = browser.join(SERVER);
    assert_eq!(
        users["users"].as_array().map(Vec::len),
        Some(1),
        "each identity once, and not one's own: {users}"
    );
    assert_eq!(users["users"][0]["oderId"], "bob");

    laptop.send(json!({"type": "status_update", "status": "busy"}));
    browser.send(json!({"type": "status_update", "status": "away"}));
    let told = bob.find("presence away", |frame| {
        frame["type"] == "status_update" && frame["status"] == "away"
    });
    assert_eq!(
        (&told["oderId"], &told["serverId"]),
        (&json!("alice"), &json!(SERVER))
    );
    assert!(
        !bob.waiting_types().contains(&"user_joined"),
        "a second device does not arrive again"
    );
}

/// Chat, typing, voice: to every other connection, including the sender's own other ones.
fn content(
    Devices {
        laptop,
        browser,
        bob,
    }: &mut Devices,
) {
    let message = json!({"id": "m1", "text": "hello, ü \u{1F44B}", "mentions": ["bob"]});
    laptop.send(json!({
        "type": "chat_message", "serverId": SERVER, "message": message, "timestamp": 12,
        "senderId": "mallory", "senderName": "Mallory", "x-kept": [1, {"deep": null}],
    }));
    for receiver in [&mut *bob, browser] {
        let chat = receiver.expect("chat_message");
        assert_eq!(
            (&chat["message"], &chat["timestamp"], &chat["x-kept"]),
            (&message, &json!(12), &json!([1, {"deep": null}]))
        );
        assert_eq!(
            (&chat["senderId"], &chat["senderName"]),
            (&json!("alice"), &json!("ALICE")),
            "stamped by the server"
        );
    }

    bob.send(json!({"type": "typing", "isTyping": true, "channelId": "general"}));
    bob.send(json!({"type": "voice_state", "muted": true, "roomId": "lounge"}));
    for receiver in [&mut *laptop, browser] {
        let typing = receiver.expect("typing");
        assert_eq!(
            (
                &typing["oderId"],
                &typing["displayName"],
                &typing["serverId"]
            ),
            (&json!("bob"), &json!("BOB"), &json!(SERVER))
        );
        let voice = receiver.expect("voice_state");
        assert_eq!(
            (&voice["oderId"], &voice["muted"], &voice["roomId"]),
            (&json!("bob"), &json!(true), &json!("lounge"))
        );
        assert_eq!(voice["connectionId"], bob.connected()["connectionId"]);
    }
    // A copy of its own message would arrive before the answer to the next one.
    assert!(
        laptop
            .settled()
            .iter()
            .all(|frame| frame["type"] != "chat_message"),
        "no echo"
    );
}

/// Offer, answer, candidates: unchanged except for the sender, and back to the device that the
/// offer came from.
fn call(
    Devices {
        laptop,
        browser,
        bob,
    }: &mut Devices,
) {
    let offer = json!({"type": "offer", "targetUserId": "alice", "sdp": {"type": "offer", "sdp": "v=0\r\n"}, "callId": 7, "zz": [[]]});
    bob.send(offer.clone());
    // The browser is the newest of Alice's devices that are in this server.
    assert_eq!(browser.expect("offer"), with(&offer, "fromUserId", "bob"));

    let answer = json!({"type": "answer", "targetUserId": "bob", "sdp": {"type": "answer", "sdp": "v=0\r\n"}, "fromUserId": "mallory"});
    browser.send(answer.clone());
    assert_eq!(bob.expect("answer"), with(&answer, "fromUserId", "alice"));

    let candidate = |target: &str| json!({"type": "ice_candidate", "targetUserId": target, "candidate": {"sdpMid": "0", "sdpMLineIndex": 0}});
    bob.send(candidate("alice"));
    assert_eq!(
        browser.expect("ice_candidate"),
        with(&candidate("alice"), "fromUserId", "bob")
    );
    browser.send(candidate("bob"));
    assert_eq!(
        bob.expect("ice_candidate"),
        with(&candidate("bob"), "fromUserId", "alice")
    );

    let seen = laptop.settled();
    assert!(
        seen.iter()
            .all(|frame| frame["type"] != "offer" && frame["type"] != "ice_candidate"),
        "the other device is not called: {seen:?}"
    );
}

/// Direct messages and calls reach every device of the user.
fn direct(
    Devices {
        laptop,
        browser,
        bob,
    }: &mut Devices,
) {
    for kind in [
        "direct-message",
        "direct-message-status",
        "direct-message-mutation",
        "direct-message-sync",
        "direct-message-sync-request",
        "direct-call",
    ] {
        let envelope = json!({"type": kind, "targetUserId": "alice", "conversationId": "c1", "payload": {"n": 1.5e3}});
        bob.send(envelope.clone());
        for receiver in [&mut *laptop, browser] {
            assert_eq!(receiver.expect(kind), with(&envelope, "fromUserId", "bob"));
        }
    }
}

/// Server icons: which peers have a newer one, and its transfer.
fn icons(Devices { browser, bob, .. }: &mut Devices) {
    browser
        .send(json!({"type": "server_icon_available", "serverId": SERVER, "iconUpdatedAt": 2000}));
    // The chat message follows the icon on the same connection; when Bob has it, the icon is known.
    browser.send(json!({"type": "chat_message", "serverId": SERVER, "message": "icon"}));
    bob.find("chat about the icon", |frame| frame["message"] == "icon");
    bob.send(
        json!({"type": "server_icon_sync_request", "serverId": SERVER, "iconUpdatedAt": 1000}),
    );
    let peers = bob.expect("server_icon_sync_peers");
    assert_eq!(
        peers["peers"],
        json!([{"oderId": "alice", "iconUpdatedAt": 2000}])
    );
    bob.send(
        json!({"type": "server_icon_sync_request", "serverId": SERVER, "iconUpdatedAt": 2000}),
    );
    assert_eq!(
        bob.expect("server_icon_sync_peers")["peers"],
        json!([]),
        "no peer has a newer icon"
    );

    let request =
        json!({"type": "server_icon_peer_request", "targetUserId": "alice", "serverId": SERVER});
    bob.send(request.clone());
    assert_eq!(
        browser.expect("server_icon_peer_request"),
        with(&request, "fromUserId", "bob")
    );
    let data = json!({"type": "server_icon_peer_data", "targetUserId": "bob", "serverId": SERVER, "icon": "A".repeat(600_000)});
    browser.send(data.clone());
    assert_eq!(
        bob.expect("server_icon_peer_data"),
        with(&data, "fromUserId", "alice")
    );
}

/// A requirement stored over REST reaches both users on every device, in the order of revisions.
fn requirement(
    host: &Host,
    Devices {
        laptop,
        browser,
        bob,
    }: &mut Devices,
) {
    let row = host.require(
        "alice",
        SERVER,
        PLUGIN,
        &json!({"status": "required", "versionRange": ">=1.2 <2"}),
    );
    assert_eq!(
        (&row["pluginId"], &row["status"], &row["versionRange"]),
        (&json!(PLUGIN), &json!("required"), &json!(">=1.2 <2"))
    );
    for receiver in [laptop, browser, bob] {
        let told = receiver.find("the new requirement", |frame| {
            frame["type"] == "plugin_requirements" && frame["requirements"] != json!([])
        });
        assert_eq!(
            (
                &told["requirements"][0]["pluginId"],
                &told["requirements"][0]["status"]
            ),
            (&json!(PLUGIN), &json!("required"))
        );
        assert_eq!(
            (
                &told["snapshot"]["requirements"],
                &told["snapshot"]["revision"]
            ),
            (&told["requirements"], &told["revision"])
        );
    }
    let snapshot = host
        .get(&format!("/api/servers/{SERVER}/plugins"))
        .expect(200)
        .json();
    assert_eq!(snapshot["requirements"].as_array().map(Vec::len), Some(1));
}

/// A declared event of a plugin is accepted, stamped and relayed.
fn plugin_event(
    host: &Host,
    Devices {
        laptop,
        browser,
        bob,
    }: &mut Devices,
) {
    let schema = json!({"type": "object", "properties": {"option": {"type": "integer"}}, "required": ["option"]});
    let definition = json!({"direction": "serverRelay", "scope": "server", "schema": schema, "maxPayloadBytes": 2048});
    let row = host.define("alice", SERVER, PLUGIN, "vote:cast", &definition);
    assert_eq!(
        (&row["eventName"], &row["maxPayloadBytes"]),
        (&json!("vote:cast"), &json!(2048))
    );
    for receiver in [&mut *laptop, browser, bob] {
        receiver.find("the new event", |frame| {
            frame["type"] == "plugin_requirements" && frame["eventDefinitions"] != json!([])
        });
    }
    laptop.send(json!({
        "type": "plugin_event", "serverId": SERVER, "pluginId": PLUGIN, "eventName": "vote:cast", "payload": {"option": 3},
        "sourceUserId": "mallory", "sourcePluginUserId": format!("plugin:{PLUGIN}"), "emittedAt": 1,
    }));
    for receiver in [browser, bob] {
        let event = receiver.expect("plugin_event");
        assert_eq!(
            (&event["payload"], &event["sourceUserId"]),
            (&json!({"option": 3}), &json!("alice"))
        );
        assert_eq!(event["sourcePluginUserId"], format!("plugin:{PLUGIN}"));
        assert!(
            event["emittedAt"]
                .as_u64()
                .is_some_and(|at| at > 1_700_000_000_000),
            "the server's clock: {event}"
        );
    }
}

/// `user_left` is sent once for each identity, with its last device.
fn depart(
    Devices {
        laptop,
        browser,
        mut bob,
    }: Devices,
) {
    laptop.close();
    // The browser may speak before or after the end of the laptop is noticed; in neither case has
    // Alice left.
    let mut browser = browser;
    browser.send(json!({"type": "chat_message", "serverId": SERVER, "message": "still here"}));
    bob.find("the last words", |frame| frame["message"] == "still here");
    assert!(!bob.waiting_types().contains(&"user_left"));
    browser.close();
    let left = bob.expect("user_left");
    assert_eq!(
        (&left["oderId"], &left["displayName"], &left["serverId"]),
        (&json!("alice"), &json!("ALICE"), &json!(SERVER))
    );
    assert!(
        bob.settled()
            .iter()
            .all(|frame| frame["type"] != "user_left"),
        "exactly one departure"
    );
    bob.close();
}

fn with(envelope: &Value, key: &str, value: &str) -> Value {
    let mut envelope = envelope.clone();
    envelope[key] = value.into();
    envelope
}
