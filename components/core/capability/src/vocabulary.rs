//! The table of capability ids with their summaries and scopes: 36 ids of the client's plugin system and 29 of the
//! host.
//!
//! The enum, the texts and the scopes are made from this one table.

use crate::{ScopeKey, nearest};
use ScopeKey::{Hosts, Methods, Names, Paths, Ports};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where an id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// One of the 36 ids of the client's plugin system, unchanged.
    Client,
    /// One of the 29 ids added for components, scripts and processes.
    Host,
}

/// One entry of the vocabulary.
#[derive(Debug, Clone, Copy)]
pub struct Capability {
    /// Its typed id.
    pub id: CapabilityId,
    /// Its name in manifests, grants and the audit log.
    pub name: &'static str,
    /// What it lets a plugin do, shown where consent is given: a phrase that completes "this plugin wants to".
    pub summary: &'static str,
    /// The keys by which a declaration may narrow it.
    pub scope: &'static [ScopeKey],
    /// Where the id comes from.
    pub source: Source,
    /// Held by every plugin without a grant.
    pub always: bool,
}

macro_rules! vocabulary {
    ($($source:ident $variant:ident $name:literal [$($key:ident),*] $summary:literal $($always:ident)?;)+) => {
        /// A capability's id. Holding a value means that the id is known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        #[repr(u8)]
        pub enum CapabilityId {
            $(#[doc = concat!("`", $name, "`: ", $summary, ".")] $variant,)+
        }

        /// The whole vocabulary, in the order of the enum.
        pub const VOCABULARY: &[Capability] = &[
            $(Capability {
                id: CapabilityId::$variant, name: $name, summary: $summary, scope: &[$($key),*],
                source: Source::$source, always: always!($($always)?),
            },)+
        ];
    };
}

macro_rules! always {
    () => {
        false
    };
    (always) => {
        true
    };
}

vocabulary! {
    Client ProfileRead "profile.read" [] "read the user's own profile";
    Client ProfileWrite "profile.write" [] "change the user's own profile";
    Client UsersRead "users.read" [] "see who is on the server";
    Client UsersManage "users.manage" [] "manage the server's members";
    Client RolesRead "roles.read" [] "see the server's roles";
    Client RolesManage "roles.manage" [] "change the server's roles";
    Client MessagesRead "messages.read" [] "read messages";
    Client MessagesSend "messages.send" [] "send messages";
    Client MessagesEditOwn "messages.editOwn" [] "edit messages it has sent";
    Client MessagesDeleteOwn "messages.deleteOwn" [] "delete messages it has sent";
    Client MessagesModerate "messages.moderate" [] "edit and delete messages of others";
    Client MessagesSync "messages.sync" [] "exchange message history with other clients";
    Client ChannelsRead "channels.read" [] "see the server's channels";
    Client ChannelsManage "channels.manage" [] "create, change and remove channels";
    Client ServerRead "server.read" [] "read the server's details";
    Client ServerManage "server.manage" [] "change the server's settings";
    Client P2pData "p2p.data" [] "exchange data with other clients directly";
    Client P2pMedia "p2p.media" [] "exchange audio and video with other clients directly";
    Client MediaPlayAudio "media.playAudio" [] "play sounds";
    Client MediaAddAudioStream "media.addAudioStream" [] "add an audio stream to a call";
    Client MediaAddVideoStream "media.addVideoStream" [] "add a video stream to a call";
    Client AudioVolume "audio.volume" [] "change the volume of voices";
    Client AudioEffects "audio.effects" [] "apply effects to audio";
    Client UiSettings "ui.settings" [] "show a page in the settings";
    Client UiPages "ui.pages" [] "add pages";
    Client UiSidePanel "ui.sidePanel" [] "add side panels";
    Client UiChannelsSection "ui.channelsSection" [] "add sections to the channel list";
    Client UiEmbeds "ui.embeds" [] "draw embeds in messages";
    Client UiDom "ui.dom" [] "change the page directly";
    Client StorageLocal "storage.local" [Names] "keep data on the user's device";
    Client StorageServerDataRead "storage.serverData.read" [Names] "read its data for a user and server";
    Client StorageServerDataWrite "storage.serverData.write" [Names] "write its data for a user and server";
    Client EventsServerPublish "events.server.publish" [Names] "send plugin events through the server";
    Client EventsServerSubscribe "events.server.subscribe" [Names] "receive plugin events from the server";
    Client EventsP2pPublish "events.p2p.publish" [Names] "send plugin events to other clients directly";
    Client EventsP2pSubscribe "events.p2p.subscribe" [Names] "receive plugin events from other clients directly";
    Host HttpFetch "http.fetch" [Hosts, Methods, Ports, Paths] "make HTTP requests";
    Host HttpServe "http.serve" [Methods, Paths] "answer HTTP requests below its route";
    Host WsConnect "ws.connect" [Hosts, Ports, Paths] "open WebSocket connections";
    Host TcpConnect "tcp.connect" [Hosts, Ports] "open TCP connections";
    Host FsRead "fs.read" [Paths] "read files";
    Host FsWrite "fs.write" [Paths] "write files";
    Host EnvRead "env.read" [Names] "read environment variables";
    Host ShellExec "shell.exec" [Names] "run programs";
    Host StorageKv "storage.kv" [Names] "keep data in its own key-value store";
    Host StorageState "storage.state" [] "keep one state document";
    Host SecretsRead "secrets.read" [Names] "read its own secrets";
    Host SecretsWrite "secrets.write" [Names] "store its own secrets";
    Host ConfigRead "config.read" [Names] "read the host's configuration";
    Host ConfigWrite "config.write" [Names] "change the host's configuration";
    Host ToolsRegister "tools.register" [Names] "offer tools";
    Host ToolsCall "tools.call" [Names] "call tools of others";
    Host CommandsRegister "commands.register" [Names] "offer commands";
    Host ProvidersRegister "providers.register" [Names] "offer model providers";
    Host HooksSubscribe "hooks.subscribe" [Names] "see and influence what happens at hooks";
    Host LlmInvoke "llm.invoke" [Names] "ask language models";
    Host SessionRead "session.read" [] "read sessions";
    Host SessionWrite "session.write" [] "change sessions";
    Host DatasetsPublish "datasets.publish" [Names] "publish datasets";
    Host DatasetsRead "datasets.read" [Names] "read datasets of other plugins";
    Host SignalsEmit "signals.emit" [Names] "emit status signals";
    Host UiTabs "ui.tabs" [] "open tabs";
    Host UiDialog "ui.dialog" [] "show dialogs";
    Host UiTheme "ui.theme" [] "provide colour themes";
    Host LogWrite "log.write" [] "write to its own log" always;
}

const _: () = assert!(
    VOCABULARY.len() == 65,
    "36 ids of the client and 29 of the host"
);

/// Names of other plugin systems for the same capability: suggested, never accepted.
const FOREIGN: &[(&str, CapabilityId)] = &[
    ("fs_read", CapabilityId::FsRead),
    ("fs_write", CapabilityId::FsWrite),
    ("network", CapabilityId::HttpFetch),
    ("http", CapabilityId::HttpFetch),
    ("http_hosts", CapabilityId::HttpFetch),
    ("shell", CapabilityId::ShellExec),
    ("exec", CapabilityId::ShellExec),
    ("env", CapabilityId::EnvRead),
    ("env_vars", CapabilityId::EnvRead),
    ("register_tools", CapabilityId::ToolsRegister),
    ("register_commands", CapabilityId::CommandsRegister),
    ("register_providers", CapabilityId::ProvidersRegister),
    ("read_config", CapabilityId::ConfigRead),
    ("write_config", CapabilityId::ConfigWrite),
    ("events", CapabilityId::HooksSubscribe),
    ("llm_access", CapabilityId::LlmInvoke),
    ("session_access", CapabilityId::SessionRead),
    ("session", CapabilityId::SessionRead),
    ("read", CapabilityId::FsRead),
    ("write", CapabilityId::FsWrite),
    ("tool", CapabilityId::ToolsRegister),
    ("ui", CapabilityId::UiDialog),
    ("log", CapabilityId::LogWrite),
    ("http-client", CapabilityId::HttpFetch),
    ("tcp-client", CapabilityId::TcpConnect),
    ("websocket", CapabilityId::WsConnect),
    ("secure-storage", CapabilityId::SecretsRead),
    ("plugin-storage", CapabilityId::StorageState),
    ("dataset-bus", CapabilityId::DatasetsPublish),
    ("ui-tabs", CapabilityId::UiTabs),
    ("file-dialog", CapabilityId::UiDialog),
    ("kv", CapabilityId::StorageKv),
];

/// A text that is no capability id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {text:?}")]
pub struct UnknownCapability {
    /// The text, cut to a length that fits a message.
    pub text: String,
    /// The closest id, for the message.
    pub suggestion: Option<CapabilityId>,
    /// The first character that no id contains; it may be a look-alike of an ASCII letter.
    pub foreign: Option<char>,
}

impl CapabilityId {
    /// Its entry in the vocabulary.
    #[must_use]
    pub const fn entry(self) -> &'static Capability {
        &VOCABULARY[self as usize]
    }

    /// Its name, as in a manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// All ids in the order of the vocabulary.
    pub fn all() -> impl Iterator<Item = Self> {
        VOCABULARY.iter().map(|entry| entry.id)
    }

    /// The id called `name`, without a suggestion where there is none.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        VOCABULARY
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.id)
    }

    /// The capability that another plugin system calls `name` (`network`, `fs_read`, `http-client`), for importers and
    /// suggestions.
    #[must_use]
    pub fn from_foreign(name: &str) -> Option<Self> {
        FOREIGN
            .iter()
            .find(|(foreign, _)| *foreign == name)
            .map(|(_, id)| *id)
    }
}

impl FromStr for CapabilityId {
    type Err = UnknownCapability;

    /// Compares exactly, case and white space included, so that the text shown is the capability granted.
    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        if let Some(id) = Self::find(text) {
            return Ok(id);
        }
        let suggestion = Self::from_foreign(text).or_else(|| {
            // There are no wildcards; one of many ids would be a guess.
            let text = if text.contains('*') { "" } else { text };
            nearest(text.trim(), VOCABULARY.iter().map(|entry| entry.name)).and_then(Self::find)
        });
        let foreign = text
            .chars()
            .find(|letter| !letter.is_ascii_alphanumeric() && *letter != '.');
        Err(UnknownCapability {
            text: text.chars().take(128).collect(),
            suggestion,
            foreign,
        })
    }
}

impl TryFrom<String> for CapabilityId {
    type Error = UnknownCapability;
    fn try_from(text: String) -> Result<Self, UnknownCapability> {
        text.parse()
    }
}

impl From<CapabilityId> for &'static str {
    fn from(id: CapabilityId) -> Self {
        id.as_str()
    }
}

impl fmt::Display for CapabilityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
