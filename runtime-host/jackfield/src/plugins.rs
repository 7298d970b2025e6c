//! Where gateway and plugin host meet: envelopes go to plugins, and what plugins do goes to the community.
//!
//! What it is not: a decision. Here one side's words become the other's. Invariant: what a plugin did not touch of a message stays as it was,
//! byte by byte.

use crate::config::Config;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use capability::Environment;
use egress::Guard;
use futures::future::BoxFuture;
use gateway::{
    Hub, PublishError, Speaker,
    plugins::{self as door, Interest, Offered, OfferedKind, Outcome, Subject, SubjectKind},
};
use outbound::{Client, SystemResolver};
use plugin_host::plugin::{
    ChatMessage, Community, Compiler, Decided, Decision, Dispatch, NotDone, OpenServer, Person,
    PluginEvent, Plugins, Publication, Saying, Setup, Topic,
};
use plugin_store::{PLUGINS_FILE, PluginStore};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::{
    env, fmt, fs,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

/// The key of the cache of compiled plugins.
const CACHE_KEY_FILE: &str = "plugin-cache-key";

/// Makes the plugin host; nothing runs yet.
///
/// # Errors
/// The store, the policy or the key cannot be used.
pub(crate) fn open(config: &Config, data: &Path, cache: &Path, hub: &Arc<Hub>) -> Result<Plugins> {
    let variables: Vec<(String, String)> = env::vars().collect();
    let environment = Environment::read(
        variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )?;
    let policy = config.plugins.policy(&environment)?;
    let directory = match (environment.directory, config.plugins.directory.as_path()) {
        (Some(directory), _) => PathBuf::from(directory),
        (None, directory) if directory.as_os_str().is_empty() => data.join("plugins"),
        (None, directory) => directory.to_owned(),
    };
    let program = env::current_exe().context("the binary does not know where it is")?;
    Plugins::new(Setup {
        directory,
        compiler: Compiler::new(program, cache, cache_key(data)?)?,
        policy,
        store: PluginStore::open(&data.join(PLUGINS_FILE))?,
        community: Arc::new(Live(Arc::downgrade(hub))),
        client: Client::new(
            outbound::Config::default(),
            Arc::new(Guard::new(&config.plugins.network).context("plugins.network")?),
            Arc::new(SystemResolver::default()),
        )?,
        ceilings: config.plugins.limits.clone(),
        restart_ms: config.plugins.restart_ms,
    })
}

/// Reads the key, or makes one.
fn cache_key(data: &Path) -> Result<[u8; 32]> {
    let path = data.join(CACHE_KEY_FILE);
    let mut key = [0; 32];
    match fs::File::open(&path) {
        Ok(mut file) => file
            .read_exact(&mut key)
            .with_context(|| format!("{} is damaged; remove it", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            getrandom::fill(&mut key)
                .map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(&key)?;
        }
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    }
    Ok(key)
}

/// The gateway's door to plugins.
pub(crate) struct Door {
    plugins: Plugins,
    dispatch: Arc<Dispatch>,
    /// Weak, as in [`Live`]: gateway and plugins hold each other, and what is durable is closed by the end of the last who holds it.
    hub: Weak<Hub>,
}

impl Door {
    /// Connects them.
    pub(crate) fn connect(plugins: &Plugins, hub: &Arc<Hub>) {
        let door = Self {
            plugins: plugins.clone(),
            dispatch: plugins.dispatch(),
            hub: Arc::downgrade(hub),
        };
        hub.set_plugins(Arc::new(door));
    }

    /// Tells the gateway what became of an envelope that waits.
    fn answer(&self, offered: &Offered) -> Option<Decided> {
        let ask = offered.ask?;
        let (hub, envelope) = (self.hub.clone(), offered.envelope.clone());
        Some(Box::new(move |decision| {
            let outcome = match decision {
                Decision::Relay => Outcome::Relay,
                Decision::Consume => Outcome::Consume,
                Decision::Refuse { plugin_id, reason } => Outcome::Refuse {
                    code: "PLUGIN_REFUSED".to_owned(),
                    message: format!("{plugin_id}: {reason}"),
                },
                Decision::Rewrite(text) => {
                    match Chat::read(&envelope).and_then(|chat| chat.with_text(&envelope, &text)) {
                        Some(envelope) => Outcome::Rewrite(envelope),
                        None => Outcome::Failed,
                    }
                }
            };
            if let Some(hub) = hub.upgrade() {
                hub.decided(ask.conn, ask.ticket, outcome);
            }
        }))
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl door::Plugins for Door {
    fn listens(&self, topic: door::Topic) -> bool {
        self.dispatch.listens(match topic {
            door::Topic::Chat => Topic::Chat,
            door::Topic::PluginEvent => Topic::Events,
            door::Topic::Channels => Topic::Channels,
        })
    }

    fn interest(&self, subject: &Subject<'_>) -> Interest {
        match subject.kind {
            SubjectKind::Chat if self.dispatch.moderates() => Interest::Decide,
            SubjectKind::Chat => Interest::None,
            SubjectKind::PluginEvent {
                plugin_id,
                event_name,
                client_to_server,
            } => match self.dispatch.hears(plugin_id, event_name) {
                true if client_to_server => Interest::Decide,
                true => Interest::Inform,
                false => Interest::None,
            },
        }
    }

    fn offer(&self, offered: Offered) -> bool {
        let answer = self.answer(&offered);
        match &offered.kind {
            OfferedKind::Chat => {
                // A plugin's own words have been sent already; nobody decides about them.
                let Some(decided) = answer else { return true };
                match Chat::read(&offered.envelope).map(|chat| chat.message(&offered)) {
                    Some(message) => self.dispatch.ask_chat(message, offered.hops, decided),
                    None => {
                        decided(Decision::Relay);
                        true
                    }
                }
            }
            OfferedKind::PluginEvent {
                plugin_id,
                event_name,
                client_to_server,
            } => {
                let Some(event) = event(&offered, plugin_id, event_name, *client_to_server) else {
                    return false;
                };
                match answer {
                    Some(decided) => self.dispatch.ask(event, offered.hops, decided),
                    None => self.dispatch.inform(event, offered.hops),
                }
            }
        }
    }

    fn requirements_changed(&self, server_id: &Arc<str>, snapshot: &Bytes) {
        self.plugins
            .requirements_changed(server_id, &String::from_utf8_lossy(snapshot));
    }

    fn server_closed(&self, server_id: &Arc<str>) {
        self.plugins.server_closed(server_id);
    }
}

/// What plugins see of a chat message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chat<'a> {
    channel_id: Option<String>,
    #[serde(borrow)]
    message: &'a RawValue,
}

/// A message that is an object (D1).
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

impl<'a> Chat<'a> {
    fn read(envelope: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(envelope).ok()
    }

    /// Where the text stands, and the text itself. A message without any is an empty one.
    fn text(&self) -> (Option<&'a RawValue>, String) {
        let raw = match serde_json::from_str::<Parts<'a>>(self.message.get()) {
            Ok(parts) => parts.content.or(parts.text),
            Err(_) => Some(self.message),
        };
        let text = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
        (raw, text.unwrap_or_default())
    }

    fn message(self, offered: &Offered) -> ChatMessage {
        let (_, text) = self.text();
        ChatMessage {
            server_id: offered.server_id.to_string(),
            channel_id: self.channel_id,
            sender_id: offered.sender_id.to_string(),
            sender_name: offered.sender_name.to_string(),
            text,
        }
    }

    /// The envelope with another text and nothing else changed.
    fn with_text(&self, envelope: &[u8], text: &str) -> Option<Bytes> {
        let (raw, _) = self.text();
        let raw = raw?.get();
        // The text is a part of the envelope, so the difference of their places is its offset.
        let start = (raw.as_ptr() as usize).checked_sub(envelope.as_ptr() as usize)?;
        let (before, after) = (envelope.get(..start)?, envelope.get(start + raw.len()..)?);
        let text = serde_json::to_vec(text).ok()?;
        Some([before, &text, after].concat().into())
    }
}

/// What plugins see of a plugin event.
fn event(
    offered: &Offered,
    plugin_id: &str,
    event_name: &str,
    decides: bool,
) -> Option<PluginEvent> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
        source_user_id: Option<String>,
        source_plugin_user_id: Option<String>,
        emitted_at: Option<serde_json::Number>,
    }
    let wire: Wire<'_> = serde_json::from_slice(&offered.envelope).ok()?;
    Some(PluginEvent {
        server_id: offered.server_id.to_string(),
        plugin_id: plugin_id.to_owned(),
        event_name: event_name.to_owned(),
        payload: wire.payload.map_or("null", RawValue::get).to_owned(),
        source_user_id: wire.source_user_id,
        source_plugin_user_id: wire.source_plugin_user_id,
        emitted_at: wire
            .emitted_at
            .and_then(|at| at.as_u64())
            .unwrap_or_default(),
        decides: decides && offered.ask.is_some(),
    })
}

/// The community as the gateway knows it.
struct Live(Weak<Hub>);

impl Live {
    fn hub(&self) -> Result<Arc<Hub>, NotDone> {
        self.0
            .upgrade()
            .ok_or_else(|| NotDone::Unavailable("the gateway has ended".into()))
    }
}

impl Community for Live {
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(async move {
            let payload: &RawValue =
                serde_json::from_str(&publication.payload).map_err(|error| NotDone::Refused {
                    message: format!("payload is not JSON: {error}"),
                    details: json!({"code": "BAD_JSON"}).to_string(),
                })?;
            let speaker = Speaker {
                plugin_id: &publication.plugin_id,
                plugin_user_id: Some(&publication.plugin_user_id),
                display_name: &publication.display_name,
                hops: publication.hops,
            };
            let event = gateway::PluginEvent {
                server_id: &publication.server_id,
                event_name: &publication.event_name,
                payload,
                channel_id: publication.channel_id.as_deref(),
                target_user_id: publication.target_user_id.as_deref(),
            };
            self.hub()?
                .publish_event(&speaker, &event)
                .await
                .map_err(not_done)
        })
    }

    fn say(&self, saying: Saying) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(async move {
            let speaker = Speaker {
                plugin_id: &saying.plugin_id,
                plugin_user_id: Some(&saying.plugin_user_id),
                display_name: &saying.display_name,
                hops: saying.hops,
            };
            let message = gateway::ChatMessage {
                server_id: &saying.server_id,
                channel_id: saying.channel_id.as_deref(),
                text: &saying.text,
            };
            self.hub()?
                .send_chat(&speaker, &message)
                .await
                .map_err(not_done)
        })
    }

    fn roster(
        &self,
        server_id: &str,
        offset: usize,
        max: usize,
    ) -> Result<(Vec<Person>, usize), NotDone> {
        let people = self
            .hub()?
            .roster(server_id, offset, max)
            .ok_or_else(|| NotDone::NotOpen(server_id.to_owned()))?;
        let list = people.people.into_iter().map(|person| Person {
            user_id: person.user_id.to_string(),
            display_name: person.display_name.to_string(),
            status: person.status.as_str(),
            verified: person.verified,
        });
        Ok((list.collect(), people.total))
    }

    fn servers(&self) -> Vec<OpenServer> {
        let servers = self
            .hub()
            .map(|hub| hub.open_server_list())
            .unwrap_or_default()
            .into_iter();
        servers
            .map(|open| OpenServer {
                server_id: open.server_id.to_string(),
                revision: open.revision,
                users: open.people,
            })
            .collect()
    }

    fn channels(&self, server_id: &str) -> Result<Vec<String>, NotDone> {
        let channels = self
            .hub()?
            .recent_channels(server_id)
            .ok_or_else(|| NotDone::NotOpen(server_id.to_owned()))?;
        Ok(channels.into_iter().map(String::from).collect())
    }
}

fn not_done(error: PublishError) -> NotDone {
    let message = error.to_string();
    match error {
        PublishError::NotOpen => NotDone::NotOpen(String::new()),
        PublishError::NotRegistered(_) => NotDone::NotRegistered(message),
        PublishError::TooLarge(_) => NotDone::TooLarge(message),
        PublishError::RateLimited { .. } => NotDone::RateLimited(message),
        PublishError::Loop => NotDone::Loop(message),
        PublishError::Busy | PublishError::Internal => NotDone::Unavailable(message),
        PublishError::Violations { ref violations, .. } => {
            let list: Vec<_> = violations
                .iter()
                .map(|violation| json!({"pointer": violation.pointer, "keyword": violation.keyword, "message": violation.message}))
                .collect();
            NotDone::Refused {
                message,
                details: json!({"code": error.code(), "violations": list}).to_string(),
            }
        }
        PublishError::Refused { .. } => NotDone::Refused {
            details: json!({"code": error.code()}).to_string(),
            message,
        },
    }
}
