//! The live state of one chat server: its members, their connections, and the shards that serve them.
//!
//! Presence events are put into the inbox of every concerned shard while the room is locked, so all receivers see them in one order. Each
//! event has a sequence number, and a connection that joined after an event never gets it.

pub(crate) mod outbox;
pub(crate) mod registry;
pub(crate) mod traffic;

use crate::{
    directory::state::ServerView,
    frame,
    hub::ConnRef,
    room::traffic::Traffic,
    shard::{Delivery, Filter, Message, inbox::ShardHandle},
};
use bytes::Bytes;
use envelope::verdict::Status;
use indexmap::IndexMap;
use limits::rate::Rate;
use parking_lot::{Mutex, RwLock};
use plugin_bus::{Person, RosterPage};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A person as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Identity.
    pub user_id: Arc<str>,
    /// Display name.
    pub display_name: Arc<str>,
    /// Profile text.
    pub description: Option<Arc<str>>,
    /// JSON of the profile's version, as it was given.
    pub profile_updated_at: Option<Arc<str>>,
    /// Whether the identity was proven.
    pub verified: bool,
}

/// A roster entry as it goes over the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    oder_id: &'a str,
    display_name: &'a str,
    status: &'a str,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_updated_at: Option<&'a RawValue>,
}

impl Profile {
    /// The roster entry, with its braces.
    fn entry(&self, status: Status) -> Arc<str> {
        let entry = Entry {
            oder_id: &self.user_id,
            display_name: &self.display_name,
            status: status.as_str(),
            verified: self.verified,
            description: self.description.as_deref(),
            profile_updated_at: self
                .profile_updated_at
                .as_deref()
                .and_then(|raw| serde_json::from_str(raw).ok()),
        };
        // Texts, a flag and checked JSON: there is nothing that could not be written.
        serde_json::to_string(&entry).unwrap_or_default().into()
    }
}

/// One identity in a room.
#[derive(Debug)]
struct Member {
    profile: Arc<Profile>,
    devices: Vec<Device>,
    /// Roster entry with braces; rebuilt when profile or status change.
    entry: Arc<str>,
}

#[derive(Debug)]
struct Device {
    conn: ConnRef,
    status: Status,
    plugins: Option<Arc<[Box<str>]>>,
}

impl Member {
    fn status(&self) -> Status {
        self.devices
            .iter()
            .map(|device| device.status)
            .max()
            .unwrap_or_default()
    }

    fn refresh(&mut self) {
        self.entry = self.profile.entry(self.status());
    }
}

#[derive(Debug, Default)]
struct State {
    members: IndexMap<Arc<str>, Member>,
    /// The entries of the first page with commas between them, kept while members only come: joiners share it.
    first_page: Option<String>,
    /// How many joined and viewing connections each shard has here.
    shards: HashMap<u16, usize>,
    icons: HashMap<Arc<str>, u64>,
    sequence: u64,
    /// Removed from the hub; the next connection opens a new room.
    closed: bool,
}

/// What an entering connection is given.
#[derive(Debug)]
pub(crate) struct Entered {
    /// Presence events up to this one are part of the roster.
    pub sequence: u64,
    /// The `server_users` envelope.
    pub roster: Bytes,
}

/// A connection that joins.
#[derive(Debug, Clone)]
pub(crate) struct Entrant {
    /// The connection.
    pub conn: ConnRef,
    /// The user.
    pub profile: Arc<Profile>,
    /// Presence of this connection.
    pub status: Status,
    /// Declared plugins.
    pub plugins: Option<Arc<[Box<str>]>>,
}

/// One page of a roster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// First entry.
    pub offset: usize,
    /// Most entries.
    pub entries_max: usize,
}

/// A chat server with at least one connection, joined or viewing.
#[derive(Debug)]
pub(crate) struct Room {
    /// Never used twice in one process.
    pub index: u64,
    /// The server's id.
    pub server_id: Arc<str>,
    view: RwLock<Arc<ServerView>>,
    revision: AtomicU64,
    state: Mutex<State>,
    traffic: Mutex<Traffic>,
}

impl Room {
    pub(crate) fn new(index: u64, view: Arc<ServerView>) -> Self {
        Self {
            index,
            server_id: view.server_id.clone(),
            revision: AtomicU64::new(view.revision),
            view: RwLock::new(view),
            state: Mutex::default(),
            traffic: Mutex::default(),
        }
    }

    /// The server's definitions as last heard from the edge.
    #[must_use]
    pub(crate) fn view(&self) -> Arc<ServerView> {
        self.view.read().clone()
    }

    /// Revision of [`Room::view`], without a lock.
    #[must_use]
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Takes a newer view and tells every shard with a connection here. Returns whether requirements or definitions changed.
    pub(crate) fn revise(self: &Arc<Self>, view: &Arc<ServerView>, shards: &[ShardHandle]) -> bool {
        let mut current = self.view.write();
        if view.revision <= current.revision && !view.gone {
            return false;
        }
        let plugins_changed = current.plugins_digest != view.plugins_digest;
        *current = view.clone();
        self.revision.store(view.revision, Ordering::Release);
        drop(current);
        for shard in self.state.lock().shards.keys() {
            shards[usize::from(*shard)].send(Message::Revised {
                room: self.clone(),
                view: view.clone(),
            });
        }
        plugins_changed
    }

    /// Lets a connection in: it is in the roster from now on, and the others hear of it if its identity was not there
    /// before. `None` when the room has just closed.
    pub(crate) fn join(
        self: &Arc<Self>,
        entrant: &Entrant,
        page: Page,
        shards: &[ShardHandle],
    ) -> Option<Entered> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        *state.shards.entry(entrant.conn.shard).or_default() += 1;
        let device = Device {
            conn: entrant.conn,
            status: entrant.status,
            plugins: entrant.plugins.clone(),
        };
        let user_id = &entrant.profile.user_id;
        match state.members.get_mut(user_id) {
            Some(member) => {
                let before = member.status();
                member.devices.push(device);
                member.profile = entrant.profile.clone();
                member.refresh();
                let after = member.status();
                self.member_changed(&mut state, user_id, (before, after), shards);
            }
            None => {
                // A member is never in the roster that it gets.
                let roster = roster(&self.server_id, &mut state, user_id, page);
                let entry = entrant.profile.entry(device.status);
                let room_left = state.members.len() < page.entries_max;
                if let Some(text) = state.first_page.as_mut().filter(|_| room_left) {
                    if !text.is_empty() {
                        text.push(',');
                    }
                    text.push_str(&entry);
                }
                let joined = format!(
                    r#"{{"type":"user_joined","serverId":{},{}"#,
                    json!(&*self.server_id),
                    &entry[1..]
                );
                let member = Member {
                    profile: entrant.profile.clone(),
                    devices: vec![device],
                    entry,
                };
                state.members.insert(user_id.clone(), member);
                self.tell(&mut state, joined.as_bytes(), shards);
                return Some(Entered {
                    sequence: state.sequence,
                    roster,
                });
            }
        }
        let roster = roster(&self.server_id, &mut state, user_id, page);
        Some(Entered {
            sequence: state.sequence,
            roster,
        })
    }

    /// Lets a connection look: it hears of revisions only. `None` when the room has just closed.
    pub(crate) fn look(&self, conn: ConnRef, user_id: &str, page: Page) -> Option<Bytes> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        *state.shards.entry(conn.shard).or_default() += 1;
        Some(roster(&self.server_id, &mut state, user_id, page))
    }

    /// The roster once more, for a further page.
    pub(crate) fn roster(&self, user_id: &str, page: Page) -> Bytes {
        roster(&self.server_id, &mut self.state.lock(), user_id, page)
    }

    /// A viewing connection goes.
    pub(crate) fn look_away(&self, conn: ConnRef) {
        release(&mut self.state.lock().shards, conn.shard);
    }

    /// Removes a joined connection; the last one of a user is announced to the other members.
    pub(crate) fn leave(self: &Arc<Self>, conn: ConnRef, user_id: &str, shards: &[ShardHandle]) {
        let mut state = self.state.lock();
        let Some(member) = state.members.get_mut(user_id) else {
            return;
        };
        let before = member.status();
        let devices_before = member.devices.len();
        member.devices.retain(|device| device.conn != conn);
        if member.devices.len() == devices_before {
            return;
        }
        let last = member.devices.is_empty();
        state.first_page = None;
        let Some(member) = state.members.get_mut(user_id) else {
            return;
        };
        if last {
            let left = json!({"type": "user_left", "serverId": &*self.server_id, "oderId": user_id, "displayName": &*member.profile.display_name});
            state.members.swap_remove(user_id);
            state.icons.remove(user_id);
            release(&mut state.shards, conn.shard);
            self.tell(&mut state, left.to_string().as_bytes(), shards);
            return;
        }
        member.refresh();
        let after = member.status();
        release(&mut state.shards, conn.shard);
        if after != before {
            self.tell(
                &mut state,
                &status_update(&self.server_id, user_id, after),
                shards,
            );
        }
    }

    /// A connection's presence or profile changed; the others hear of it if the identity's presence did.
    pub(crate) fn update(
        self: &Arc<Self>,
        conn: ConnRef,
        profile: &Arc<Profile>,
        status: Status,
        shards: &[ShardHandle],
    ) {
        let mut state = self.state.lock();
        let Some(member) = state.members.get_mut(&profile.user_id) else {
            return;
        };
        let before = member.status();
        for device in member
            .devices
            .iter_mut()
            .filter(|device| device.conn == conn)
        {
            device.status = status;
        }
        member.profile = profile.clone();
        member.refresh();
        let after = member.status();
        self.member_changed(&mut state, &profile.user_id, (before, after), shards);
    }

    /// Sends content to the joined connections on all shards but the sender's own, which delivers directly.
    pub(crate) fn publish(self: &Arc<Self>, delivery: &Delivery, own: u16, shards: &[ShardHandle]) {
        for shard in self
            .state
            .lock()
            .shards
            .keys()
            .filter(|shard| **shard != own)
        {
            shards[usize::from(*shard)].send_content(Message::Room {
                room: self.clone(),
                delivery: delivery.clone(),
                sequence: None,
            });
        }
    }

    /// Whether a connection here declared `plugin_id`.
    pub(crate) fn declares(&self, plugin_id: &str) -> bool {
        let state = self.state.lock();
        let declared = |device: &Device| {
            device
                .plugins
                .as_ref()
                .is_some_and(|plugins| plugins.iter().any(|id| **id == *plugin_id))
        };
        state
            .members
            .values()
            .any(|member| member.devices.iter().any(declared))
    }

    /// People from `offset` on, and how many there are.
    pub(crate) fn people(&self, offset: usize, people_max: usize) -> RosterPage {
        let state = self.state.lock();
        let person = |member: &Member| Person {
            user_id: member.profile.user_id.clone(),
            display_name: member.profile.display_name.clone(),
            status: member.status(),
            verified: member.profile.verified,
        };
        RosterPage {
            people: state
                .members
                .values()
                .skip(offset)
                .take(people_max)
                .map(person)
                .collect(),
            total: state.members.len(),
        }
    }

    /// Identities that have joined.
    pub(crate) fn people_count(&self) -> usize {
        self.state.lock().members.len()
    }

    /// Remembers a channel that a message named; the newest comes first.
    pub(crate) fn note_channel(&self, channel_id: &str) {
        self.traffic.lock().note_channel(channel_id);
    }

    /// Channels that messages named lately, newest first.
    pub(crate) fn recent_channels(&self) -> Vec<Box<str>> {
        self.traffic.lock().channels.iter().cloned().collect()
    }

    /// Takes one token of `rate` and `volume.1` KiB of `volume` from what a plugin may send here.
    ///
    /// # Errors
    /// What there was too much of, and milliseconds until there is more.
    pub(crate) fn charge_speaker(
        &self,
        plugin_id: &str,
        now_ms: u32,
        rate: (&'static str, Rate),
        volume: (Rate, u32),
    ) -> Result<(), (&'static str, u32)> {
        self.traffic.lock().charge(plugin_id, now_ms, rate, volume)
    }

    /// An identity offers the server's icon in this version.
    pub(crate) fn offer_icon(&self, user_id: &Arc<str>, updated_at: u64) {
        let mut state = self.state.lock();
        if state.members.contains_key(user_id) {
            state.icons.insert(user_id.clone(), updated_at);
        }
    }

    /// Members that offer a newer icon than `updated_at`, newest first, as `server_icon_sync_peers`.
    pub(crate) fn icon_peers(&self, asker: &str, updated_at: u64, entries_max: usize) -> Vec<u8> {
        let state = self.state.lock();
        let mut peers: Vec<_> = state
            .icons
            .iter()
            .filter(|(user, at)| ***user != *asker && **at > updated_at)
            .collect();
        peers.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        peers.truncate(entries_max);
        let peers: Vec<_> = peers
            .into_iter()
            .map(|(user, at)| json!({"oderId": &**user, "iconUpdatedAt": at}))
            .collect();
        envelope::reply::bytes(
            &json!({"type": "server_icon_sync_peers", "serverId": &*self.server_id, "peers": peers}),
        )
    }

    /// Closes the room if it has no connection. Returns whether it is closed.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.closed = state.shards.is_empty();
        state.closed
    }

    /// A member's profile or devices have changed: its status, before and after, is told where it differs.
    fn member_changed(
        self: &Arc<Self>,
        state: &mut State,
        user_id: &str,
        (before, after): (Status, Status),
        shards: &[ShardHandle],
    ) {
        state.first_page = None;
        if after != before {
            self.tell(
                state,
                &status_update(&self.server_id, user_id, after),
                shards,
            );
        }
    }

    /// Puts a presence event into the inbox of every shard with a connection here, in one order for all.
    fn tell(self: &Arc<Self>, state: &mut State, envelope: &[u8], shards: &[ShardHandle]) {
        state.sequence += 1;
        let delivery = Delivery {
            frame: frame::text(envelope),
            skip: None,
            filter: Filter::All,
            coalesce: 0,
        };
        for shard in state.shards.keys() {
            shards[usize::from(*shard)].send(Message::Room {
                room: self.clone(),
                delivery: delivery.clone(),
                sequence: Some(state.sequence),
            });
        }
    }
}

fn release(shards: &mut HashMap<u16, usize>, shard: u16) {
    if let Some(count) = shards.get_mut(&shard) {
        *count -= 1;
        if *count == 0 {
            shards.remove(&shard);
        }
    }
}

fn status_update(server_id: &str, user_id: &str, status: Status) -> Vec<u8> {
    envelope::reply::bytes(
        &json!({"type": "status_update", "serverId": server_id, "oderId": user_id, "status": status.as_str()}),
    )
}

/// `server_users`: the others, never the receiver; cut to a page, which then says `total` and `offset`. The order is that of coming,
/// except that a member that leaves is replaced by the last one.
fn roster(server_id: &str, state: &mut State, own: &str, page: Page) -> Bytes {
    let own_at = state.members.get_index_of(own);
    let total = state.members.len() - usize::from(own_at.is_some());
    let mut tail = String::from("]");
    if page.offset > 0 || total > page.entries_max {
        tail = format!(r#"],"total":{total},"offset":{}"#, page.offset);
    }
    tail.push('}');
    let head = format!(
        r#"{{"type":"server_users","serverId":{},"users":["#,
        json!(server_id)
    );
    let State {
        members,
        first_page,
        ..
    } = state;
    if page.offset == 0 && own_at.is_none_or(|at| at >= page.entries_max) {
        let text =
            first_page.get_or_insert_with(|| entries(members.values().take(page.entries_max)));
        return frame::joined(&[head.as_bytes(), text.as_bytes(), tail.as_bytes()]);
    }
    let others = members
        .iter()
        .filter(|(user, _)| ***user != *own)
        .map(|(_, member)| member);
    let text = entries(others.skip(page.offset).take(page.entries_max));
    frame::joined(&[head.as_bytes(), text.as_bytes(), tail.as_bytes()])
}

fn entries<'a>(members: impl Iterator<Item = &'a Member>) -> String {
    let mut text = String::new();
    for member in members {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&member.entry);
    }
    text
}
