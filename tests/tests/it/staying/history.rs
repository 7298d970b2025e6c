//! A random history of users, servers, memberships and sessions: after each change, what is said on a server is heard
//! there by the sessions that may be there, and by no other.

use super::{OWNER, act, create, hears, invite, owner, patch, say};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::{
    bystander::STEADY,
    client::Client,
    host::{Host, Settings},
    rng::{Rng, seed},
};

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
            .config(&format!("{STEADY}\n[socket]\nshards = 2\n"))
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
