//! The live state of chat servers: [`Room`] has the members of one server and the shards that serve them, [`registry`]
//! all open rooms, and [`local`] a shard's own connections in each room with the frames that wait for them.
//!
//! Presence events are put into the inbox of every concerned shard while the room is locked, so all receivers see them
//! in one order. Each event has a sequence number, and a connection that joined after an event never gets it.

mod icons;
pub(crate) mod local;
mod members;
pub(crate) mod outbox;
mod profile;
pub(crate) mod registry;
mod traffic;

pub(crate) use members::MemberConnection;
pub(crate) use profile::{DeclaredPlugins, Profile};

use crate::{
    directory::views::ServerView,
    hub::ConnRef,
    room::{
        icons::Icons,
        members::{Member, Members, Presence},
        traffic::Traffic,
    },
    server_envelope,
    session::authority::KnownMembers,
    shard::{
        inbox::ShardHandle,
        message::{Delivery, Message, Receivers},
    },
};
use bytes::Bytes;
use limits::{rate::Rate, socket::ICON_PEERS_BYTES_MAX};
use parking_lot::{Mutex, RwLock};
use plugin_bus::{Person, RosterPage};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

#[derive(Debug, Default)]
struct State {
    members: Members,
    /// The number of joined and viewing connections of each shard.
    shards: HashMap<u16, usize>,
    icons: Icons,
    /// The room has, or has had, more users than a page of a roster. It stays so until its last connection leaves, so
    /// that connections do not have to change their ways back and forth.
    is_large: bool,
    /// The number of the last presence event.
    sequence: u64,
    /// Removed from the registry; the next connection opens a new room.
    closed: bool,
}

/// The room has as many users as it may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoomFull;

/// What a joining connection is given.
#[derive(Debug)]
pub(crate) struct Entered {
    /// Presence events up to this one are part of the roster.
    pub sequence: u64,
    /// The `server_users` envelope.
    pub roster: Bytes,
}

/// The part of a roster that a connection wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// The first entry.
    pub offset: usize,
    /// The limit of entries.
    pub entries_max: usize,
    /// The connection gets a large roster in pages.
    pub pages: bool,
    /// Their entries. A roster that has more is large.
    pub page_entries: usize,
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
    plugins_revision: AtomicU64,
    /// [`ServerView::access`] at which every connection here was admitted, or was found to be a member's.
    checked_access: AtomicU64,
    state: Mutex<State>,
    traffic: Mutex<Traffic>,
}

impl Room {
    /// A room without connections.
    pub(crate) fn new(index: u64, view: Arc<ServerView>) -> Self {
        Self {
            index,
            server_id: view.server_id.clone(),
            revision: AtomicU64::new(view.revision),
            plugins_revision: AtomicU64::new(view.rules.snapshot().revision),
            checked_access: AtomicU64::new(view.access),
            view: RwLock::new(view),
            state: Mutex::default(),
            traffic: Mutex::default(),
        }
    }

    // ---- the server's rules

    /// The newest view of the server from the directory.
    pub(crate) fn view(&self) -> Arc<ServerView> {
        self.view.read().clone()
    }

    /// Revision of [`Room::view`], without a lock.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Revision of the requirements and event definitions in [`Room::view`], without a lock.
    pub(crate) fn plugins_revision(&self) -> u64 {
        self.plugins_revision.load(Ordering::Acquire)
    }

    /// Takes a newer view, or any if it `is_restated`, and tells every shard with a connection here. Returns whether
    /// requirements or definitions changed.
    pub(crate) fn revise(
        self: &Arc<Self>,
        view: &Arc<ServerView>,
        is_restated: bool,
        shards: &[ShardHandle],
    ) -> bool {
        let mut current = self.view.write();
        let is_newer = view.revision > current.revision || view.gone || current.gone;
        if !is_newer && !is_restated {
            return false;
        }
        let plugins_changed = current.rules.digest() != view.rules.digest();
        *current = view.clone();
        self.revision.store(view.revision, Ordering::Release);
        let plugins_revision = view.rules.snapshot().revision;
        self.plugins_revision
            .store(plugins_revision, Ordering::Release);
        drop(current);
        for shard in self.state.lock().shards.keys() {
            shards[usize::from(*shard)].send(Message::Revised {
                room: self.clone(),
                view: view.clone(),
                is_restated,
            });
        }
        plugins_changed
    }

    /// Whether users have come in before the server was guarded as `view` says.
    pub(crate) fn has_unchecked(&self, view: &ServerView) -> bool {
        view.guarded && self.checked_access.load(Ordering::Acquire) != view.access
    }

    /// Tells every shard with a connection here which users are members; `all` if they are all users of the room.
    pub(crate) fn members_known(
        self: &Arc<Self>,
        known: KnownMembers,
        all: bool,
        shards: &[ShardHandle],
    ) {
        if all {
            self.checked_access.store(known.access, Ordering::Release);
        }
        let known = Arc::new(known);
        for shard in self.state.lock().shards.keys() {
            shards[usize::from(*shard)].send(Message::MembersKnown {
                room: self.clone(),
                known: known.clone(),
            });
        }
    }

    // ---- connections

    /// Adds a joining connection: it is in the roster from now on, and the others are told if its user was not there
    /// before. `None` if the room has just closed.
    ///
    /// # Errors
    /// The user is not here yet, and `users_max` users are.
    pub(crate) fn join(
        self: &Arc<Self>,
        connection: &MemberConnection,
        page: Page,
        users_max: Option<usize>,
        shards: &[ShardHandle],
    ) -> Option<Result<Entered, RoomFull>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let is_new = !state.members.contains(&connection.profile.user_id);
        if is_new && users_max.is_some_and(|max| state.members.len() >= max) {
            return Some(Err(RoomFull));
        }
        *state.shards.entry(connection.conn.shard).or_default() += 1;
        let user_id = &connection.profile.user_id;
        // A joining user is not in the roster that it gets, so the roster may be made before or after; before, it can
        // be shared.
        state.is_large |= state.members.len() + usize::from(is_new) > page.page_entries;
        let shared = is_new.then(|| state.roster(&self.server_id, user_id, page));
        let presence = state.members.add(connection, page.entries_max);
        self.announce(&mut state, user_id, presence, shards);
        let roster = match shared {
            Some(roster) => roster,
            None => state.roster(&self.server_id, user_id, page),
        };
        Some(Ok(Entered {
            sequence: state.sequence,
            roster,
        }))
    }

    /// Adds a viewing connection, which is told of revisions only; returns the roster. `None` if the room has just
    /// closed.
    pub(crate) fn add_viewer(&self, conn: ConnRef, user_id: &str, page: Page) -> Option<Bytes> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        *state.shards.entry(conn.shard).or_default() += 1;
        Some(state.roster(&self.server_id, user_id, page))
    }

    /// Removes a viewing connection.
    pub(crate) fn remove_viewer(&self, conn: ConnRef) {
        release(&mut self.state.lock().shards, conn.shard);
    }

    /// Removes a joined connection; the last one of a user is announced to the other members.
    pub(crate) fn leave(self: &Arc<Self>, conn: ConnRef, user_id: &str, shards: &[ShardHandle]) {
        let mut state = self.state.lock();
        let Some(presence) = state.members.remove(conn, user_id) else {
            return;
        };
        if let Presence::Left(_) = presence {
            state.icons.remove(user_id);
        }
        release(&mut state.shards, conn.shard);
        self.announce(&mut state, user_id, presence, shards);
    }

    /// Takes what has changed of a joined connection; the others are told if the presence of its user changed.
    pub(crate) fn update(self: &Arc<Self>, connection: &MemberConnection, shards: &[ShardHandle]) {
        let mut state = self.state.lock();
        if let Some(presence) = state.members.update(connection) {
            self.announce(&mut state, &connection.profile.user_id, presence, shards);
        }
    }

    /// Closes the room if it has no connection. Returns whether it is closed.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.closed = state.shards.is_empty();
        state.closed
    }

    // ---- sending

    /// Sends content to the joined connections on all shards but `own`, which delivers directly.
    pub(crate) fn send_to_other_shards(
        self: &Arc<Self>,
        delivery: &Delivery,
        own: u16,
        shards: &[ShardHandle],
    ) {
        let state = self.state.lock();
        for shard in state.shards.keys().filter(|shard| **shard != own) {
            shards[usize::from(*shard)].send_content(Message::Room {
                room: self.clone(),
                delivery: delivery.clone(),
                sequence: None,
            });
        }
    }

    /// Tells the others of a changed member.
    fn announce(
        self: &Arc<Self>,
        state: &mut State,
        user_id: &str,
        presence: Presence,
        shards: &[ShardHandle],
    ) {
        let server_id = &*self.server_id;
        let changes_roster = matches!(presence, Presence::Joined(_) | Presence::Left(_));
        let (kind, event) = match presence {
            Presence::Same => return,
            Presence::Joined(entry) => {
                let server_id = json!(server_id);
                let members = &entry[1..];
                let event = format!(r#"{{"type":"user_joined","serverId":{server_id},{members}"#);
                ("user_joined", event)
            }
            Presence::Status(status) => {
                let (kind, status) = ("status_update", status.as_str());
                let event = json!({"type": kind, "serverId": server_id, "oderId": user_id, "status": status});
                (kind, event.to_string())
            }
            Presence::Left(display_name) => {
                let (kind, name) = ("user_left", &*display_name);
                let event = json!({"type": kind, "serverId": server_id, "oderId": user_id, "displayName": name});
                (kind, event.to_string())
            }
        };
        let receivers = match state.is_large && changes_roster {
            true => Receivers::Paging(false),
            false => Receivers::All,
        };
        let frame = server_envelope::frame(kind, &[event.as_bytes()]);
        self.tell(state, frame, receivers, shards);
    }

    /// Puts a presence event into the inbox of every shard with a connection here, in one order for all.
    fn tell(
        self: &Arc<Self>,
        state: &mut State,
        frame: Bytes,
        receivers: Receivers,
        shards: &[ShardHandle],
    ) {
        state.sequence += 1;
        let delivery = Delivery {
            frame,
            skip: None,
            receivers,
            coalesce: None,
        };
        for shard in state.shards.keys() {
            shards[usize::from(*shard)].send(Message::Room {
                room: self.clone(),
                delivery: delivery.clone(),
                sequence: Some(state.sequence),
            });
        }
    }

    // ---- members

    /// The roster for a user, from the page's offset on.
    pub(crate) fn roster(&self, user_id: &str, page: Page) -> Bytes {
        let mut state = self.state.lock();
        state.roster(&self.server_id, user_id, page)
    }

    /// The `server_users_changed` frame: how many users there are beside each of them.
    pub(crate) fn count(&self) -> Bytes {
        let total = self.member_count().saturating_sub(1);
        let changed =
            json!({"type": "server_users_changed", "serverId": &*self.server_id, "total": total});
        server_envelope::frame("server_users_changed", &[changed.to_string().as_bytes()])
    }

    /// Whether a connection here declared `plugin_id`.
    pub(crate) fn declares(&self, plugin_id: &str) -> bool {
        self.state.lock().members.declare(plugin_id)
    }

    /// At most `people_max` members from `offset` on, and the number of all.
    pub(crate) fn roster_page(&self, offset: usize, people_max: usize) -> RosterPage {
        let person = |member: &Member| {
            let profile = member.profile();
            Person {
                user_id: profile.user_id.clone(),
                display_name: profile.display_name.clone(),
                status: member.status(),
                verified: member.is_verified(),
            }
        };
        let members = &self.state.lock().members;
        let page = members.iter().skip(offset).take(people_max);
        RosterPage {
            people: page.map(person).collect(),
            total: members.len(),
        }
    }

    /// The number of users that have joined.
    pub(crate) fn member_count(&self) -> usize {
        self.state.lock().members.len()
    }

    // ---- icons

    /// Records that a user offers the server's icon in this version.
    pub(crate) fn offer_icon(&self, user_id: &Arc<str>, updated_at: u64) {
        let mut state = self.state.lock();
        if state.members.contains(user_id) {
            state.icons.offer(user_id.clone(), updated_at);
        }
    }

    /// The `server_icon_sync_peers` frame for `receiver`: the users that offer a newer icon than `updated_at`, newest
    /// first.
    pub(crate) fn icon_peers(&self, receiver: &str, updated_at: u64, entries_max: usize) -> Bytes {
        let state = self.state.lock();
        let peers = state.icons.newer(updated_at, receiver, entries_max);
        let mut text = String::new();
        for (user_id, at) in peers {
            let entry = json!({"oderId": user_id, "iconUpdatedAt": at}).to_string();
            if text.len() + 1 + entry.len() > ICON_PEERS_BYTES_MAX {
                break;
            }
            text.extend([if text.is_empty() { "" } else { "," }, &entry]);
        }
        let (kind, server_id) = ("server_icon_sync_peers", json!(&*self.server_id));
        let envelope = format!(r#"{{"type":"{kind}","serverId":{server_id},"peers":[{text}]}}"#);
        server_envelope::frame(kind, &[envelope.as_bytes()])
    }

    // ---- traffic

    /// Remembers a channel that a message named.
    pub(crate) fn note_channel(&self, channel_id: &str) {
        self.traffic.lock().note_channel(channel_id);
    }

    /// Channels that messages named lately, newest first.
    pub(crate) fn recent_channels(&self) -> Vec<Box<str>> {
        self.traffic.lock().channels.iter().cloned().collect()
    }

    /// Takes one token of `rate`, and `volume.1` KiB of `volume.0`, from the buckets of a plugin.
    ///
    /// # Errors
    /// The exceeded rate, and milliseconds until the same can succeed.
    pub(crate) fn charge_plugin(
        &self,
        plugin_id: &str,
        now_ms: u32,
        rate: (&'static str, Rate),
        volume: (Rate, u32),
    ) -> Result<(), (&'static str, u32)> {
        self.traffic.lock().charge(plugin_id, now_ms, rate, volume)
    }
}

impl State {
    /// `server_users` for a user.
    fn roster(&mut self, server_id: &str, user_id: &str, page: Page) -> Bytes {
        let (members, offset) = (&mut self.members, page.offset);
        if self.is_large && page.pages {
            let entries_max = page.page_entries.min(page.entries_max);
            return members.page(server_id, user_id, offset, entries_max);
        }
        members.roster(server_id, user_id, offset, page.entries_max)
    }
}

/// Counts a connection less of a shard.
fn release(shards: &mut HashMap<u16, usize>, shard: u16) {
    if let Some(count) = shards.get_mut(&shard) {
        *count -= 1;
        if *count == 0 {
            shards.remove(&shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MemberConnection, Page, Profile, Room};
    use crate::{
        directory::views::ServerView,
        frame,
        hub::ConnRef,
        metrics::Metrics,
        shard::{
            inbox::{Inbox, ShardHandle},
            message::Message,
        },
    };
    use bytes::Bytes;
    use envelope::{catalogue, verdict::Status};
    use limits::{
        envelope::{DESCRIPTION_CHARS_MAX, DISPLAY_NAME_CHARS_MAX},
        identity::{SERVER_ID_CHARS_MAX, USER_ID_CHARS_MAX},
        socket::ROSTER_ENTRIES_MAX,
    };
    use serde_json::Value;
    use std::{collections::HashSet, sync::Arc};

    #[test]
    fn each_envelope_about_users_fits_the_bound_of_its_type() {
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        let shard = ShardHandle::new(waker.into(), &Metrics::default());
        let shards = std::slice::from_ref(&shard);
        let view = ServerView {
            server_id: "s".repeat(SERVER_ID_CHARS_MAX).into(),
            ..ServerView::at_revision(1)
        };
        let room = Arc::new(Room::new(1, Arc::new(view)));
        let page = Page {
            offset: 0,
            entries_max: ROSTER_ENTRIES_MAX,
            pages: false,
            page_entries: ROSTER_ENTRIES_MAX,
        };
        let member = |slot: u32| MemberConnection {
            conn: ConnRef {
                shard: 0,
                slot,
                generation: 0,
            },
            profile: Arc::new(Profile {
                user_id: format!("{slot:04}{}", "🦀".repeat(USER_ID_CHARS_MAX - 4)).into(),
                display_name: "🦀".repeat(DISPLAY_NAME_CHARS_MAX).into(),
                description: Some("\u{1}".repeat(DESCRIPTION_CHARS_MAX).into()),
                profile_updated_at: Some("1".into()),
                verified: false,
            }),
            status: Status::Online,
            plugins: None,
        };
        let mut frames: Vec<Bytes> = vec![room.count()];
        for slot in 0..1_000 {
            let one = member(slot);
            let entered = room.join(&one, page, None, shards);
            frames.push(entered.expect("an open room").expect("a place").roster);
            room.offer_icon(&one.profile.user_id, u64::from(slot) + 1);
        }
        let busy = MemberConnection {
            status: Status::Busy,
            ..member(0)
        };
        room.update(&busy, shards);
        frames.push(room.icon_peers("new", 0, ROSTER_ENTRIES_MAX));
        room.leave(busy.conn, &busy.profile.user_id, shards);
        let mut inbox = Inbox::default();
        shard.take(&mut inbox);
        let told = inbox.messages.into_iter().map(|message| match message {
            Message::Room { delivery, .. } => delivery.frame,
            other => unreachable!("{other:?}"),
        });
        let mut types = HashSet::new();
        for frame in frames.into_iter().chain(told) {
            let json = frame::payload(&frame);
            let envelope: Value = serde_json::from_slice(&json).expect("JSON");
            let name = envelope["type"].as_str().expect("a type");
            let known = catalogue::find(name).expect("a type of the catalogue");
            assert!(json.len() <= known.bytes_max, "{name}: {}", json.len());
            types.insert(known.name);
        }
        assert_eq!(types.len(), 6, "{types:?}");
    }
}
