//! Whether an open session may stay what it is and where it is, when users, servers and memberships change.

use identity::{NewToken, Role, SigningKey};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    time::{SystemTime, UNIX_EPOCH},
};
use tests::{
    bystander::RATES,
    client::Client,
    host::{Host, Settings},
    http::Request,
    rng::{Rng, seed},
};

const OWNER: &str = "olga";

fn act(host: &Host, user: &str, method: &str, path: &str, body: &Value) {
    let token = host.known_token(user, "client");
    let request = Request::new(method, path).bearer(&token).json(body);
    let answer = host.send(&request);
    assert!(
        matches!(answer.status, 200 | 201),
        "{method} {path}: {}",
        answer.text()
    );
}

fn create(host: &Host, server: Value) {
    act(host, OWNER, "POST", "/api/servers", &server);
}

fn patch(host: &Host, server: &str, change: Value) {
    let path = format!("/api/servers/{server}");
    act(host, OWNER, "PATCH", &path, &change);
}

/// Makes a user a member, and joins on the socket.
fn member(host: &Host, name: &str, server: &str) -> Client {
    let mut client = Client::identified(host, name);
    client.send(
        json!({"type": "join_server", "serverId": server, "inviteToken": invite(host, server)}),
    );
    client.expect("plugin_requirements");
    client
}

fn invite(host: &Host, server: &str) -> String {
    let path = format!("/api/servers/{server}/invites");
    let token = host.known_token(OWNER, "client");
    let answer = host.send(&Request::new("POST", &path).bearer(&token).json(&json!({})));
    answer.expect(200).json()["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}

/// A session of the owner, which proves its name.
fn owner(host: &Host) -> Client {
    let mut owner = Client::connect(host, OWNER);
    owner.identify(json!({"token": host.known_token(OWNER, "client")}));
    owner
}

fn say(client: &mut Client, server: &str, text: &str) {
    client.send(json!({"type": "chat_message", "serverId": server, "message": text}));
}

fn hears(client: &mut Client, text: &str) {
    client.find(text, |frame| frame["message"] == text);
}

#[test]
fn an_ended_membership_ends_the_stay_on_a_private_server() {
    let host = Host::start();
    create(&host, json!({"id": "den", "name": "Den", "private": true}));
    let mut owner = owner(&host);
    owner.join("den");
    let (mut ada, mut bob, mut cyd) = (
        member(&host, "ada", "den"),
        member(&host, "bob", "den"),
        member(&host, "cyd", "den"),
    );
    act(
        &host,
        OWNER,
        "DELETE",
        "/api/servers/den/members/ada",
        &json!({}),
    );
    ada.refusal("NOT_A_MEMBER");
    act(&host, "bob", "POST", "/api/servers/den/leave", &json!({}));
    bob.refusal("NOT_A_MEMBER");
    say(&mut owner, "den", "only for members");
    hears(&mut cyd, "only for members");
    for gone in [&mut ada, &mut bob] {
        gone.refused(
            json!({"type": "chat_message", "serverId": "den", "message": "still here?"}),
            "NOT_A_MEMBER",
        );
        gone.refused(
            json!({"type": "join_server", "serverId": "den"}),
            "INVITE_REQUIRED",
        );
        assert!(
            !gone
                .settled()
                .iter()
                .any(|frame| frame["type"] == "chat_message"),
            "it hears what is said after its end"
        );
    }
}

#[test]
fn a_server_that_becomes_private_keeps_its_members_alone() {
    let host = Host::start();
    create(&host, json!({"id": "yard", "name": "Yard"}));
    act(&host, "mia", "POST", "/api/servers/yard/join", &json!({}));
    let mut mia = Client::joined(&host, "mia", "yard");
    let mut passer = Client::joined(&host, "passer", "yard");
    let mut viewer = Client::identified(&host, "viewer");
    viewer.send(json!({"type": "view_server", "serverId": "yard"}));
    viewer.expect("plugin_requirements");
    patch(&host, "yard", json!({"private": true}));
    passer.refusal("NOT_A_MEMBER");
    viewer.refusal("NOT_A_MEMBER");
    assert_eq!(
        mia.find("the leaver", |frame| frame["type"] == "user_left")["oderId"],
        "passer"
    );
    let mut owner = owner(&host);
    owner.join("yard");
    say(&mut owner, "yard", "indoors");
    hears(&mut mia, "indoors");
}

#[test]
fn a_viewer_by_password_stays_until_the_password_changes() {
    let host = Host::start();
    create(
        &host,
        json!({"id": "hall", "name": "Hall", "password": "open sesame"}),
    );
    let mut ada = Client::identified(&host, "ada");
    ada.send(json!({"type": "join_server", "serverId": "hall", "password": "open sesame"}));
    ada.expect("plugin_requirements");
    let mut viewer = Client::identified(&host, "viewer");
    viewer.send(json!({"type": "view_server", "serverId": "hall", "password": "open sesame"}));
    viewer.expect("plugin_requirements");
    // Neither another's end nor a new name concerns it.
    act(
        &host,
        OWNER,
        "DELETE",
        "/api/servers/hall/members/ada",
        &json!({}),
    );
    ada.refusal("NOT_A_MEMBER");
    patch(&host, "hall", json!({"name": "Great hall"}));
    host.require(
        OWNER,
        "hall",
        "example.polls",
        &json!({"status": "optional"}),
    );
    viewer.find("the requirement", |frame| {
        frame["type"] == "plugin_requirements" && frame["requirements"] != json!([])
    });
    patch(&host, "hall", json!({"password": "other words"}));
    viewer.refusal("NOT_A_MEMBER");
}

#[test]
fn a_lock_takes_the_name_from_sessions_that_cannot_prove_it() {
    let host = Host::start();
    create(&host, json!({"id": "plaza", "name": "Plaza"}));
    let mut witness = Client::joined(&host, "witness", "plaza");
    let mut thief = Client::joined(&host, "lena", "plaza");
    let mut lena = Client::connect(&host, "lena");
    lena.identify(json!({"token": host.known_token("lena", "client")}));
    lena.join("plaza");
    act(&host, "lena", "PUT", "/api/users/me/lock", &json!({}));
    let refusal = thief.refusal("IDENTITY_PROOF_REQUIRED");
    assert_eq!(refusal["type"], "error");
    thief.refused(
        json!({"type": "chat_message", "serverId": "plaza", "message": "it is me"}),
        "NOT_IDENTIFIED",
    );
    witness.send(json!({"type": "direct-message", "targetUserId": "lena", "text": "for lena"}));
    assert_eq!(lena.expect("direct-message")["text"], "for lena");
    say(&mut lena, "plaza", "here");
    hears(&mut witness, "here");
    let heard = thief.settled();
    assert!(
        !heard
            .iter()
            .any(|frame| frame["type"] == "direct-message" || frame["type"] == "chat_message"),
        "{heard:?}"
    );
    // The session goes on under a name that needs no proof.
    thief.identify(json!({"oderId": "tom"}));
    thief.join("plaza");
}

#[test]
fn a_session_ends_with_its_token() {
    let host = Host::start();
    create(&host, json!({"id": "plaza", "name": "Plaza"}));
    let mut witness = Client::joined(&host, "witness", "plaza");
    let (short, long) = (
        token_for(&host, "tess", 4),
        host.known_token("tess", "client"),
    );
    let mut brief = Client::connect(&host, "tess");
    brief.identify(json!({"token": short}));
    brief.join("plaza");
    // One that identifies again in time goes on.
    let mut renewed = Client::connect(&host, "tess");
    renewed.identify(json!({"token": short}));
    renewed.join("plaza");
    renewed.identify(json!({"token": long}));
    let refusal = brief.refusal("IDENTITY_PROOF_REQUIRED");
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|text| text.contains("expired")),
        "{refusal}"
    );
    say(&mut witness, "plaza", "after the end");
    hears(&mut renewed, "after the end");
    assert!(
        !brief
            .settled()
            .iter()
            .any(|frame| frame["type"] == "chat_message")
    );
    brief.identify(json!({"token": long}));
    brief.join("plaza");
}

/// A token that the host takes for some `seconds` more: it has expired, and the host tolerates differing clocks.
fn token_for(host: &Host, user: &str, seconds: u64) -> String {
    let pem = fs::read_to_string(host.data().join("signing-key.pem")).expect("the signing key");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let token = NewToken {
        user_id: identifiers::UserId::new(user).expect("a name"),
        role: Role::Client,
        issued_at_s: now.as_secs() - limits::identity::TOKEN_LEEWAY_SECONDS,
        lifetime_s: seconds,
        audience: None,
        issuer: None,
    };
    let key = SigningKey::from_pem(&pem).expect("a key");
    identity::sign(&key, &token).expect("a token")
}

// ---- a random history

const SERVERS: [&str; 2] = ["north", "south"];
const USERS: [&str; 4] = ["ann", "ben", "cat", "dan"];
const STEPS: usize = 150;

/// One server, as the history has left it.
#[derive(Default)]
struct Server {
    private: bool,
    members: BTreeSet<&'static str>,
    banned: BTreeSet<&'static str>,
}

/// A session, and where it should be.
struct Session {
    user: &'static str,
    client: Client,
    /// It has its name.
    identified: bool,
    joined: [bool; SERVERS.len()],
    /// The texts that it should have heard, and those that it has.
    due: BTreeSet<String>,
    heard: BTreeSet<String>,
}

struct History {
    host: Host,
    owner: Client,
    servers: [Server; SERVERS.len()],
    locked: BTreeSet<&'static str>,
    sessions: Vec<Session>,
}

impl History {
    fn start() -> Self {
        let host = Settings::new()
            .config(&format!("{RATES}\n[socket]\nshards = 2\n"))
            .start();
        for id in SERVERS {
            create(&host, json!({"id": id, "name": id}));
        }
        let mut owner = owner(&host);
        for id in SERVERS {
            owner.join(id);
        }
        let session = |user| Session {
            user,
            client: Client::identified(&host, user),
            identified: true,
            joined: [false; SERVERS.len()],
            due: BTreeSet::new(),
            heard: BTreeSet::new(),
        };
        let sessions = USERS.iter().chain(&USERS).map(|user| session(*user));
        Self {
            sessions: sessions.collect(),
            host,
            owner,
            servers: Default::default(),
            locked: BTreeSet::new(),
        }
    }

    /// Whether a user may be on a server that is entered without an invite.
    fn may_be(&self, user: &'static str, server: usize) -> bool {
        let server = &self.servers[server];
        !server.banned.contains(user) && (!server.private || server.members.contains(user))
    }

    /// One step, and its description.
    fn step(&mut self, rng: &mut Rng) -> String {
        let at = rng.below(SERVERS.len());
        let (user, id) = (USERS[rng.below(USERS.len())], SERVERS[at]);
        let is_member = self.servers[at].members.contains(user);
        let (host, server) = (&self.host, &mut self.servers[at]);
        match rng.below(16) {
            0 if server.banned.insert(user) => {
                server.members.remove(user);
                act(
                    host,
                    OWNER,
                    "PUT",
                    &format!("/api/servers/{id}/bans/{user}"),
                    &json!({}),
                );
                format!("{user} is banned from {id}")
            }
            1 | 2 if server.banned.remove(user) => {
                act(
                    host,
                    OWNER,
                    "DELETE",
                    &format!("/api/servers/{id}/bans/{user}"),
                    &json!({}),
                );
                format!("{user} is not banned from {id} any more")
            }
            3 if is_member => {
                server.members.remove(user);
                let path = format!("/api/servers/{id}/members/{user}");
                act(host, OWNER, "DELETE", &path, &json!({}));
                format!("{user} is removed from {id}")
            }
            4 if is_member => {
                server.members.remove(user);
                act(
                    host,
                    user,
                    "POST",
                    &format!("/api/servers/{id}/leave"),
                    &json!({}),
                );
                format!("{user} leaves {id}")
            }
            5 | 6 if !is_member && !server.banned.contains(user) => {
                server.members.insert(user);
                let body = json!({"invite": invite(host, id)});
                act(
                    host,
                    user,
                    "POST",
                    &format!("/api/servers/{id}/join"),
                    &body,
                );
                format!("{user} becomes a member of {id}")
            }
            7 | 8 => {
                server.private = !server.private;
                patch(host, id, json!({"private": server.private}));
                format!("{id} is private: {}", server.private)
            }
            9 if self.locked.insert(user) => {
                act(host, user, "PUT", "/api/users/me/lock", &json!({}));
                format!("{user} locks its name")
            }
            10 | 11 if self.locked.remove(user) => {
                act(host, user, "DELETE", "/api/users/me/lock", &json!({}));
                format!("{user} unlocks its name")
            }
            _ => self.enter(rng, at),
        }
    }

    /// A session joins, or identifies again.
    fn enter(&mut self, rng: &mut Rng, at: usize) -> String {
        let number = rng.below(self.sessions.len());
        let user = self.sessions[number].user;
        let (may_be, locked) = (self.may_be(user, at), self.locked.contains(user));
        let session = &mut self.sessions[number];
        if !session.identified {
            if !locked {
                // What the gateway knows of the lock may be older than its end.
                tests::until("the end of the lock", || {
                    session.client.identify(json!({}));
                    let refused = session.client.settled().iter().any(is_refusal);
                    (!refused).then_some(())
                });
                session.identified = true;
            }
            return format!("{user} identifies: {}", session.identified);
        }
        let join = json!({"type": "join_server", "serverId": SERVERS[at]});
        if may_be {
            // A change of the server that is followed at this moment is told as one to try again after.
            tests::until("a way in", || {
                session.client.send(join.clone());
                let answer = session.client.find("an answer", |frame| {
                    frame["type"] == "plugin_requirements" || frame["type"] == "access_denied"
                });
                (answer["type"] == "plugin_requirements").then_some(())
            });
            session.joined[at] = true;
        } else {
            session.client.send(join);
            session
                .client
                .find("a refusal", |frame| frame["type"] == "access_denied");
        }
        format!("{user} joins {}: {may_be}", SERVERS[at])
    }

    /// Waits until each session that may not be where it was has been told so, then says something on each server.
    fn settle(&mut self, step: usize, what: &str) {
        for number in 0..self.sessions.len() {
            let user = self.sessions[number].user;
            if self.locked.contains(user) && self.sessions[number].identified {
                let session = &mut self.sessions[number];
                session
                    .client
                    .find(what, |frame| frame["code"] == "IDENTITY_PROOF_REQUIRED");
                session.identified = false;
                session.joined = [false; SERVERS.len()];
            }
            for (at, id) in SERVERS.iter().enumerate() {
                if self.sessions[number].joined[at] && !self.may_be(user, at) {
                    let session = &mut self.sessions[number];
                    session.client.find(what, |frame| {
                        frame["type"] == "access_denied" && frame["serverId"] == *id
                    });
                    session.joined[at] = false;
                }
            }
        }
        for (at, server) in SERVERS.iter().enumerate() {
            let text = format!("{step} on {server}");
            say(&mut self.owner, server, &text);
            for session in self
                .sessions
                .iter_mut()
                .filter(|session| session.joined[at])
            {
                hears(&mut session.client, &text);
                session.due.insert(text.clone());
                session.heard.insert(text.clone());
            }
        }
        for session in &mut self.sessions {
            let texts = session.client.settled().into_iter();
            let texts = texts.filter(|frame| frame["type"] == "chat_message");
            session
                .heard
                .extend(texts.map(|frame| frame["message"].to_string()));
            assert_eq!(
                session.heard, session.due,
                "{step}: {what}: {}",
                session.user
            );
        }
    }
}

fn is_refusal(frame: &Value) -> bool {
    frame["type"] == "error"
}

#[test]
fn after_each_change_only_sessions_that_may_be_there_hear_anything() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let mut history = History::start();
    for step in 0..STEPS {
        let what = history.step(&mut rng);
        println!("{step}: {what}");
        history.settle(step, &what);
    }
}
