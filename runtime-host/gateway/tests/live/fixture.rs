//! A gateway with real sockets, a directory that the test writes, and plugins that do what the test says.

use crate::client::{Client, PATIENCE};
use bytes::Bytes;
use envelope::{
    Context, Validator, Verdict,
    verdict::{Snapshot, ValidatorError},
};
use gateway::{
    Config, Gateway, HttpHandoff, Hub, LiveChatHost, Metrics, bind,
    directory::{Answering, DirectoryClient, Transport},
};
use http::{Request, Response};
use limits::directory::POLL_INTERVAL_MS;
use parking_lot::Mutex;
use plugin_bus::{
    Actor, ChatHost, Interest, Offer, Outcome, PluginHost, Reach, ServerPlugins, Subject,
    SubjectKind, Ticket, Topic,
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};
use tokio::{runtime::Runtime, sync::Notify};
use validation::NativeValidator;

/// The plugin of these tests.
pub(crate) const PLUGIN: &str = "example.polls";
/// The same, as it acts where no operator says more.
pub(crate) const ACTOR: Actor<'static> = Actor {
    plugin_id: PLUGIN,
    reach: Reach::Public,
};
/// A user whose name needs proof.
pub(crate) const PROTECTED: &str = "protected";
/// A user about which the directory never answers.
pub(crate) const UNANSWERED: &str = "unanswered";
/// A user that blocks the user `witness`.
pub(crate) const SHY: &str = "shy";
/// The server of these tests.
pub(crate) const SERVER: &str = "lobby";

/// The directory's answers.
#[derive(Debug, Default)]
struct Directory {
    servers: HashMap<String, Value>,
    changes: Vec<Value>,
    /// Servers and users about which it does not answer.
    hanging: HashSet<String>,
    /// The users about which it was asked.
    users_asked: Vec<String>,
    /// The servers about whose members it was asked; they have none.
    members_asked: Vec<String>,
    /// It was restored from a backup: the next poll of the feed is told so.
    is_restored: bool,
    /// Servers whose plugins were left out of an answer, because the gateway knew them.
    left_out: Vec<String>,
    /// The keys that were bound to users; the feed does not tell of them.
    keys: HashMap<String, Value>,
    joins: Arc<Joins>,
}

/// Questions about joins: all of them are allowed as soon as the test says so.
#[derive(Debug, Default)]
struct Joins {
    asked: Notify,
    allowed: Notify,
}

#[derive(Debug, Clone, Default)]
struct FakeDirectory(Arc<Mutex<Directory>>);

impl Transport for FakeDirectory {
    fn call(&self, request: Request<Bytes>) -> Answering<'_> {
        let mut directory = self.0.lock();
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        let hangs = |id: &String| {
            path.ends_with(&format!("servers/{id}")) || path.ends_with(&format!("users/{id}"))
        };
        if path.ends_with(UNANSWERED) || directory.hanging.iter().any(hangs) {
            return Box::pin(std::future::pending());
        }
        if path.ends_with("/join") {
            let joins = directory.joins.clone();
            return Box::pin(async move {
                joins.asked.notify_one();
                joins.allowed.notified().await;
                Ok(Response::new(Bytes::from(r#"{"allowed":true}"#)))
            });
        }
        let body = match path.strip_prefix("/api/internal/").unwrap_or_default() {
            "changes" => {
                let after = query.strip_prefix("after=").expect("a position");
                let after: u64 = after.parse().expect("a number");
                let latest = directory.changes.len();
                let from = latest.min(usize::try_from(after).unwrap_or(usize::MAX));
                let reset = std::mem::take(&mut directory.is_restored);
                json!({"changes": directory.changes[from..], "latest": latest, "reset": reset})
            }
            "users" => json!({"users": [PROTECTED, UNANSWERED, SHY], "next": null}),
            key if key.ends_with("/key") => {
                let user = key
                    .trim_start_matches("users/")
                    .trim_end_matches("/key")
                    .to_owned();
                let asked: Value = serde_json::from_slice(request.body()).expect("JSON");
                directory.keys.insert(user, asked["key"].clone());
                json!({})
            }
            members if members.ends_with("/members") => {
                let server_id = members.trim_start_matches("servers/");
                let server_id = server_id.trim_end_matches("/members").to_owned();
                directory.members_asked.push(server_id);
                json!({"members": []})
            }
            user if user.starts_with("users/") => {
                let user_id = user.trim_start_matches("users/").to_owned();
                directory.users_asked.push(user_id);
                let keys = directory.keys.get(user.trim_start_matches("users/"));
                json!({
                    "proofRequired": user.ends_with(PROTECTED) || keys.is_some(),
                    "keys": keys.into_iter().collect::<Vec<_>>(),
                    "blocks": if user.ends_with(SHY) { vec!["witness"] } else { vec![] },
                })
            }
            server => {
                let id = server.trim_start_matches("servers/");
                let mut row = directory.servers.get(id).cloned().unwrap_or(Value::Null);
                if query == format!("pluginsRevision={}", row["pluginsRevision"]) {
                    row["pluginsKnown"] = true.into();
                    row["requirements"] = json!([]);
                    row["eventDefinitions"] = json!([]);
                    directory.left_out.push(id.to_owned());
                }
                row
            }
        };
        let status = if body.is_null() { 404 } else { 200 };
        let response = Response::builder()
            .status(status)
            .body(Bytes::from(body.to_string()))
            .expect("a response");
        Box::pin(async { Ok(response) })
    }
}

/// The interest of the plugins in a test.
pub(crate) type InterestRule = fn(&Subject<'_>) -> Interest;

/// Plugins with the interest that the test sets; they hand all offers to the test.
#[derive(Debug)]
struct Recorder {
    interest_rule: InterestRule,
    offers: Sender<Offer>,
    snapshots: Sender<(Arc<str>, Bytes)>,
    closed: Sender<Arc<str>>,
    /// There is room for offers.
    room: AtomicBool,
    /// The topics that are listened to, a bit for each.
    topics: AtomicU8,
    /// How often interest was asked for.
    interests: AtomicUsize,
}

impl PluginHost for Recorder {
    fn listens(&self, topic: Topic) -> bool {
        self.topics.load(Ordering::Acquire) & topic.bit() != 0
    }

    fn interest(&self, subject: &Subject<'_>) -> Interest {
        self.interests.fetch_add(1, Ordering::AcqRel);
        (self.interest_rule)(subject)
    }

    fn offer(&self, offered: Offer) -> bool {
        self.room.load(Ordering::Acquire) && self.offers.send(offered).is_ok()
    }

    fn requirements_changed(
        &self,
        server_id: &Arc<str>,
        plugins: &ServerPlugins,
        snapshot: &Bytes,
    ) {
        // A plugin that the server says nothing about; the requirements of these tests name another one.
        let stranger = Actor {
            plugin_id: "x.stranger",
            reach: Reach::Named,
        };
        assert!(plugins.admit(stranger).is_err());
        let _ = self.snapshots.send((server_id.clone(), snapshot.clone()));
    }

    fn server_closed(&self, server_id: &Arc<str>) {
        let _ = self.closed.send(server_id.clone());
    }
}

/// Decides about chat and about events of clients to the server, and listens to all other events.
pub(crate) fn decide(subject: &Subject<'_>) -> Interest {
    match subject.kind {
        SubjectKind::Chat
        | SubjectKind::PluginEvent {
            client_to_server: true,
            ..
        } => Interest::Decide,
        SubjectKind::PluginEvent { .. } => Interest::Inform,
    }
}

/// The validator, except that it answers `later` so many times about a chat message `later <times>`.
#[derive(Default)]
struct Hesitant {
    validator: NativeValidator,
    answers: u64,
}

impl Validator for Hesitant {
    fn validate(
        &mut self,
        context: &Context<'_>,
        envelope: &[u8],
    ) -> Result<Verdict, ValidatorError> {
        let parsed: Value = serde_json::from_slice(envelope).unwrap_or_default();
        let text = parsed["message"].as_str().unwrap_or_default();
        let times = text.strip_prefix("later ").unwrap_or("0").parse();
        if self.answers < times.expect("a number") {
            self.answers += 1;
            return Ok(Verdict::Later(self.answers));
        }
        self.answers = 0;
        self.validator.validate(context, envelope)
    }

    fn update_definitions(&mut self, snapshot: &Snapshot) -> Result<(), ValidatorError> {
        self.validator.update_definitions(snapshot)
    }
}

/// A running gateway.
pub(crate) struct Fixture {
    pub(crate) hub: Arc<Hub>,
    pub(crate) chat_host: LiveChatHost,
    pub(crate) runtime: Runtime,
    gateway: Option<Gateway>,
    directory: FakeDirectory,
    wake: Arc<Notify>,
    recorder: Arc<Recorder>,
    offers: Receiver<Offer>,
    snapshots: Receiver<(Arc<str>, Bytes)>,
    closed: Receiver<Arc<str>>,
}

impl Fixture {
    /// A gateway with so many shards, and plugins with this interest, if any.
    pub(crate) fn start(shards: usize, interest_rule: Option<InterestRule>) -> Self {
        Self::with(shards, interest_rule, |_| {})
    }

    /// The same with another configuration.
    pub(crate) fn with(
        shards: usize,
        interest_rule: Option<InterestRule>,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::default();
        // Clients of a test answer pings only while the test reads from them.
        config.socket.silence_max_ms = 10 * PATIENCE.as_millis() as u64;
        // Long enough for a busy machine.
        config.socket.decision_max_ms = limits::dispatch::DECISION_LIMIT_MS;
        configure(&mut config);
        let runtime = Runtime::new().expect("a runtime");
        let directory = FakeDirectory::default();
        directory
            .0
            .lock()
            .servers
            .insert(SERVER.into(), server(1, &[]));
        let (client, worker, wake) = DirectoryClient::connect(
            Box::new(directory.clone()),
            "credential".into(),
            Duration::from_millis(POLL_INTERVAL_MS),
        );
        let verifier = identity::Verifier::new(identity::Expectations {
            audience: None,
            issuer: None,
            key_set_roles: false,
        });
        let hub = Arc::new(Hub::new(
            config,
            Metrics::default(),
            client,
            verifier,
            1_000,
        ));
        let (offers, received) = channel();
        let (snapshots, told) = channel();
        let (closed, closures) = channel();
        let recorder = Arc::new(Recorder {
            interest_rule: interest_rule.unwrap_or(|_| Interest::None),
            offers,
            snapshots,
            closed,
            room: AtomicBool::new(true),
            topics: AtomicU8::new(u8::MAX),
            interests: AtomicUsize::new(0),
        });
        if interest_rule.is_some() {
            assert!(
                hub.set_plugins(recorder.clone()) && !hub.set_plugins(recorder.clone()),
                "once"
            );
        }
        runtime.spawn(worker.run(hub.clone()));
        let validators = (0..shards)
            .map(|_| Box::new(Hesitant::default()) as Box<dyn Validator>)
            .collect();
        let (http_handoff, _) = HttpHandoff::channel();
        let listener = bind("127.0.0.1:0").expect("a listener");
        let gateway =
            Gateway::start(hub.clone(), listener, validators, &http_handoff).expect("a gateway");
        Self {
            chat_host: LiveChatHost::new(&hub),
            hub,
            runtime,
            gateway: Some(gateway),
            directory,
            wake,
            recorder,
            offers: received,
            snapshots: told,
            closed: closures,
        }
    }

    /// A client that has joined [`SERVER`].
    pub(crate) fn join(&self, name: &str) -> Client {
        let mut client = self.connect();
        client
            .send(json!({"type": "identify", "oderId": name, "displayName": name.to_uppercase()}));
        client.send(json!({"type": "join_server", "serverId": SERVER}));
        client.expect("plugin_requirements");
        client
    }

    /// A client that has not identified.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.gateway.as_ref().expect("it runs").address())
    }

    /// The next envelope that plugins were offered.
    pub(crate) fn offered(&self) -> Offer {
        self.offers.recv_timeout(PATIENCE).expect("an offer")
    }

    /// The next envelope that waits for a decision, with its question.
    pub(crate) fn asked(&self) -> (Value, Ticket) {
        let offered = self.offered();
        let envelope = serde_json::from_slice(&offered.envelope).expect("JSON");
        (envelope, offered.decision.expect("a question").ticket)
    }

    /// All questions that have come; waits for one if `needed`.
    pub(crate) fn asked_by_now(&self, needed: bool) -> Vec<(Value, Ticket)> {
        let first = needed.then(|| self.offered());
        let offers = first.into_iter().chain(self.offers.try_iter());
        offers
            .map(|offered| {
                (
                    serde_json::from_slice(&offered.envelope).expect("JSON"),
                    offered.decision.expect("a question").ticket,
                )
            })
            .collect()
    }

    /// Whether no offer waits.
    pub(crate) fn nothing_offered(&self) -> bool {
        self.offers.try_recv().is_err()
    }

    /// The next `plugin_requirements` that plugins were sent.
    pub(crate) fn snapshot(&self) -> Value {
        let (server_id, snapshot) = self.snapshots.recv_timeout(PATIENCE).expect("a snapshot");
        assert_eq!(&*server_id, SERVER);
        serde_json::from_slice(&snapshot).expect("JSON")
    }

    /// The next server that the last connection has left.
    pub(crate) fn closed(&self) -> Arc<str> {
        self.closed
            .recv_timeout(PATIENCE)
            .expect("a server without connections")
    }

    /// Decides.
    pub(crate) fn decide(&self, ticket: Ticket, outcome: Outcome) {
        self.chat_host.decided(ticket, outcome);
    }

    /// Sets whether there is room for offers.
    pub(crate) fn set_room(&self, room: bool) {
        self.recorder.room.store(room, Ordering::Release);
    }

    /// Sets the topics that are listened to.
    pub(crate) fn set_topics(&self, topics: &[Topic]) {
        self.recorder.topics.store(
            topics.iter().fold(0, |bits, topic| bits | topic.bit()),
            Ordering::Release,
        );
    }

    /// How often interest was asked for.
    pub(crate) fn interests(&self) -> usize {
        self.recorder.interests.load(Ordering::Acquire)
    }

    /// Changes the server as the directory knows it.
    pub(crate) fn revise(&self, revision: u64, definitions: &[Value], further: Value) {
        let mut row = server(revision, definitions);
        row.as_object_mut()
            .expect("an object")
            .extend(further.as_object().expect("an object").clone());
        row["requirements"] = complete(&row["requirements"]);
        self.change(SERVER, row);
    }

    /// Deletes the server in the directory.
    pub(crate) fn delete(&self) {
        self.change(SERVER, Value::Null);
    }

    /// Changes any server as the directory knows it, and tells of it.
    pub(crate) fn change(&self, server_id: &str, row: Value) {
        let mut directory = self.directory.0.lock();
        directory.servers.insert(server_id.into(), row);
        let seq = directory.changes.len() + 1;
        directory
            .changes
            .push(json!({"seq": seq, "kind": "server", "id": server_id}));
        drop(directory);
        self.wake.notify_one();
    }

    /// Tells of a change of a user, with its revision afterwards.
    pub(crate) fn change_user(&self, user_id: &str, revision: u64) {
        let mut directory = self.directory.0.lock();
        let seq = directory.changes.len() + 1;
        directory
            .changes
            .push(json!({"seq": seq, "kind": "user", "id": user_id, "revision": revision}));
        drop(directory);
        self.wake.notify_one();
    }

    /// How often the directory was asked about a user.
    pub(crate) fn asked_about_user(&self, user_id: &str) -> usize {
        let directory = self.directory.0.lock();
        let asked = directory.users_asked.iter();
        asked.filter(|asked| *asked == user_id).count()
    }

    /// The servers about whose members the directory was asked.
    pub(crate) fn members_asked(&self) -> Vec<String> {
        self.directory.0.lock().members_asked.clone()
    }

    /// Changes any server as the directory knows it; no change tells of it.
    pub(crate) fn change_silently(&self, server_id: &str, row: Value) {
        self.directory
            .0
            .lock()
            .servers
            .insert(server_id.into(), row);
    }

    /// Lets the directory answer no question about a server or user any more.
    pub(crate) fn hang(&self, id: &str) {
        self.directory.0.lock().hanging.insert(id.into());
    }

    /// Restores the directory from a backup, with these servers.
    pub(crate) fn restore(&self, servers: &[(&str, Value)]) {
        let mut directory = self.directory.0.lock();
        for (server_id, row) in servers {
            directory.servers.insert((*server_id).into(), row.clone());
        }
        directory.is_restored = true;
        drop(directory);
        self.wake.notify_one();
    }

    /// The servers whose plugins were left out of an answer, because the gateway knew them.
    pub(crate) fn left_out(&self) -> Vec<String> {
        self.directory.0.lock().left_out.clone()
    }

    /// What the directory says of a server without rules of its own.
    pub(crate) fn row(server_id: &str, revision: u64, bans: &[&str]) -> Value {
        let mut row = server(revision, &[]);
        row["serverId"] = server_id.into();
        row["requirements"] = json!([]);
        row["eventDefinitions"] = json!([]);
        row["bans"] = bans.into();
        row
    }

    /// Waits until the directory is asked about a join.
    pub(crate) fn join_asked(&self) {
        let joins = self.directory.0.lock().joins.clone();
        let asked = async { tokio::time::timeout(PATIENCE, joins.asked.notified()).await };
        let asked = self.runtime.block_on(asked);
        asked.expect("a question about a join");
    }

    /// Lets the directory allow the join that it was asked about.
    pub(crate) fn allow_join(&self) {
        self.directory.0.lock().joins.allowed.notify_one();
    }

    /// The value of a counter or gauge.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let text = self.hub.metrics.render();
        let value = text
            .lines()
            .find_map(|each| each.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a number"))
    }

    /// Ends the gateway.
    pub(crate) fn end(&mut self) {
        self.gateway.take().expect("it runs").drain();
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.drain();
        }
    }
}

/// A server's row, with these definitions.
fn server(revision: u64, definitions: &[Value]) -> Value {
    let standard = [
        definition("vote:cast", "clientToServer", "server"),
        definition("vote:tally", "serverRelay", "server"),
        definition("vote:mine", "serverRelay", "user"),
        definition("vote:here", "serverRelay", "channel"),
        definition("vote:app", "serverRelay", "plugin"),
        definition("vote:hint", "p2pHint", "server"),
    ];
    let definitions = if definitions.is_empty() {
        &standard
    } else {
        definitions
    };
    json!({
        "serverId": SERVER, "name": SERVER, "revision": revision, "pluginsRevision": revision, "private": false,
        "password": false, "maxMembers": null, "ownerId": "olga", "bans": [],
        "requirements": complete(&json!([{"pluginId": PLUGIN, "status": "optional"}])), "eventDefinitions": definitions,
    })
}

/// Requirements with all their members.
fn complete(requirements: &Value) -> Value {
    let rows = requirements.as_array().expect("a list").iter();
    rows.map(|row| {
        let mut whole = json!({
            "serverId": SERVER, "installUrl": null, "sourceUrl": null, "manifest": null, "versionRange": null,
            "updatedAt": 1, "updatedBy": "olga",
        });
        let members = whole.as_object_mut().expect("an object");
        members.extend(row.as_object().expect("an object").clone());
        whole
    })
    .collect()
}

/// An event of [`PLUGIN`] whose payload has a number.
pub(crate) fn definition(name: &str, direction: &str, scope: &str) -> Value {
    json!({
        "pluginId": PLUGIN, "eventName": name, "direction": direction, "scope": scope, "maxPayloadBytes": 64,
        "schema": {"type": "object", "properties": {"option": {"type": "integer"}}, "required": ["option"]},
    })
}

/// An event of [`PLUGIN`] as a client sends it.
pub(crate) fn event(name: &str, option: u32) -> Value {
    json!({"type": "plugin_event", "serverId": SERVER, "pluginId": PLUGIN, "eventName": name, "payload": {"option": option}, "requestId": "r"})
}

/// A chat message as a client sends it.
pub(crate) fn chat(text: &str) -> Value {
    json!({"type": "chat_message", "serverId": SERVER, "message": text, "requestId": "r"})
}
