//! The members of a room with their connections, and the roster that they make.

use crate::{
    hub::ConnRef,
    room::profile::{DeclaredPlugins, Profile},
    server_envelope,
};
use bytes::Bytes;
use envelope::verdict::Status;
use indexmap::IndexMap;
use limits::socket::ROSTER_BYTES_MAX;
use serde_json::json;
use std::sync::Arc;

/// The users that have joined, in the order of joining, except that a member that leaves is replaced by the last one.
#[derive(Debug, Default)]
pub(super) struct Members {
    members: IndexMap<Arc<str>, Member>,
    /// The entries of the first page, kept while members only come: joiners share it.
    first_page: Option<Entries>,
}

/// Entries of a roster.
#[derive(Debug, Default)]
struct Entries {
    /// With commas between them.
    text: String,
    count: usize,
}

/// A user in a room.
#[derive(Debug)]
pub(super) struct Member {
    /// The profile that others see.
    profile: Arc<Profile>,
    /// At least one; the one that identified last comes last.
    connections: Vec<MemberConnection>,
    /// The roster entry; rebuilt when profile or status change.
    entry: Arc<str>,
}

/// A joined connection of a user.
#[derive(Debug, Clone)]
pub(crate) struct MemberConnection {
    /// The connection.
    pub conn: ConnRef,
    /// Its user, as the connection identified.
    pub profile: Arc<Profile>,
    /// Its presence.
    pub status: Status,
    /// The plugins that its client declared.
    pub plugins: Option<Arc<DeclaredPlugins>>,
}

/// What a change of a member means for the others.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nothing.
    Same,
    /// The user has joined; its roster entry.
    Joined(Arc<str>),
    /// The most available status of the user's connections is another one.
    Status(Status),
    /// The last connection of the user has left; its display name.
    Left(Arc<str>),
}

impl Member {
    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether each of its connections has proven the user: one that has not might be another's.
    pub(super) fn is_verified(&self) -> bool {
        self.connections.iter().all(|one| one.profile.verified)
    }

    /// The most available status of the user's connections.
    pub(super) fn status(&self) -> Status {
        let statuses = self.connections.iter().map(|one| one.status);
        statuses.max().unwrap_or_default()
    }

    fn declares(&self, plugin_id: &str) -> bool {
        let mut declared = self
            .connections
            .iter()
            .filter_map(|one| one.plugins.as_deref());
        declared.any(|plugins| plugins.find(plugin_id).is_some())
    }

    /// Changes the member by `change`; what that means for the others.
    fn update(&mut self, change: impl FnOnce(&mut Self)) -> Presence {
        let before = self.status();
        change(self);
        let after = self.status();
        // The last one that has proven the user speaks for it, else the last one.
        let mut newest = self.connections.iter().rev().map(|one| &one.profile);
        let proven = newest.clone().find(|profile| profile.verified);
        if let Some(profile) = proven.or_else(|| newest.next()) {
            self.profile = profile.clone();
        }
        self.entry = self.profile.entry(after, self.is_verified());
        if after == before {
            Presence::Same
        } else {
            Presence::Status(after)
        }
    }
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn contains(&self, user_id: &str) -> bool {
        self.members.contains_key(user_id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Whether a connection declared a plugin.
    pub(super) fn declare(&self, plugin_id: &str) -> bool {
        self.members
            .values()
            .any(|member| member.declares(plugin_id))
    }

    /// Adds a connection. [`Members::roster`] is asked for at most `entries_max` entries.
    pub(super) fn add(&mut self, connection: &MemberConnection, entries_max: usize) -> Presence {
        let profile = &connection.profile;
        let user_id = &profile.user_id;
        if let Some(member) = self.members.get_mut(user_id) {
            self.first_page = None;
            return member.update(|member| member.connections.push(connection.clone()));
        }
        let entry = profile.entry(connection.status, profile.verified);
        // A page that has left one out ends there.
        let all = self.members.len();
        if let Some(page) = self.first_page.as_mut().filter(|page| page.count == all) {
            page.push(&entry, entries_max);
        }
        let member = Member {
            profile: profile.clone(),
            connections: vec![connection.clone()],
            entry: entry.clone(),
        };
        self.members.insert(user_id.clone(), member);
        Presence::Joined(entry)
    }

    /// Removes a connection; `None` if it was not here.
    pub(super) fn remove(&mut self, conn: ConnRef, user_id: &str) -> Option<Presence> {
        let member = self.members.get_mut(user_id)?;
        let at = member.connections.iter().position(|one| one.conn == conn)?;
        self.first_page = None;
        if member.connections.len() == 1 {
            let member = self.members.swap_remove(user_id)?;
            return Some(Presence::Left(member.profile.display_name.clone()));
        }
        Some(member.update(|member| drop(member.connections.remove(at))))
    }

    /// Takes what has changed of a connection; `None` if it is not here.
    pub(super) fn update(&mut self, connection: &MemberConnection) -> Option<Presence> {
        let member = self.members.get_mut(&connection.profile.user_id)?;
        let mut connections = member.connections.iter();
        let at = connections.position(|one| one.conn == connection.conn)?;
        self.first_page = None;
        Some(member.update(|member| {
            let is_same = Arc::ptr_eq(&member.connections[at].profile, &connection.profile);
            member.connections[at] = connection.clone();
            if !is_same {
                member.connections[at..].rotate_left(1);
            }
        }))
    }

    /// `server_users` for the user `own`, which is not listed: at most `entries_max` entries and [`ROSTER_BYTES_MAX`]
    /// from `offset` on. If these are not all, it says `total` and `offset`.
    pub(super) fn roster(
        &mut self,
        server_id: &str,
        own: &str,
        offset: usize,
        entries_max: usize,
    ) -> Bytes {
        if offset > 0 {
            return self.page(server_id, own, offset, entries_max);
        }
        let (own_at, total) = self.beside(own);
        let place = |page: &Entries| (total > page.count).then_some((total, 0));
        if own_at.is_some_and(|at| at < entries_max) {
            let page = self.others(own_at, 0, entries_max);
            return server_users(server_id, &page, place(&page));
        }
        let members = &self.members;
        let page = self
            .first_page
            .get_or_insert_with(|| Entries::of(members.values(), entries_max));
        server_users(server_id, page, place(page))
    }

    /// The same, which says `total` and `offset` always.
    pub(super) fn page(
        &self,
        server_id: &str,
        own: &str,
        offset: usize,
        entries_max: usize,
    ) -> Bytes {
        let (own_at, total) = self.beside(own);
        let page = self.others(own_at, offset, entries_max);
        server_users(server_id, &page, Some((total, offset)))
    }

    /// Where the user `own` is, if it is here, and how many others there are.
    fn beside(&self, own: &str) -> (Option<usize>, usize) {
        let own_at = self.members.get_index_of(own);
        (own_at, self.members.len() - usize::from(own_at.is_some()))
    }

    /// Entries of the members other than that at `own_at`.
    fn others(&self, own_at: Option<usize>, offset: usize, entries_max: usize) -> Entries {
        let others = (offset..self.members.len()).filter_map(|at| {
            let is_behind_own = own_at.is_some_and(|own_at| at >= own_at);
            let (_, member) = self.members.get_index(at + usize::from(is_behind_own))?;
            Some(member)
        });
        Entries::of(others, entries_max)
    }
}

/// The envelope `server_users` with these entries; `place` is `total` and `offset`.
fn server_users(server_id: &str, page: &Entries, place: Option<(usize, usize)>) -> Bytes {
    let head = format!(
        r#"{{"type":"server_users","serverId":{},"users":["#,
        json!(server_id)
    );
    let tail = match place {
        Some((total, offset)) => format!(r#"],"total":{total},"offset":{offset}}}"#),
        None => "]}".to_owned(),
    };
    let pieces = [head.as_bytes(), page.text.as_bytes(), tail.as_bytes()];
    server_envelope::frame("server_users", &pieces)
}

impl Entries {
    /// Those of the first members.
    fn of<'a>(mut members: impl Iterator<Item = &'a Member>, entries_max: usize) -> Self {
        let mut entries = Self::default();
        while let Some(member) = members.next()
            && entries.push(&member.entry, entries_max)
        {}
        entries
    }

    /// Adds an entry if there is place for it.
    fn push(&mut self, entry: &str, entries_max: usize) -> bool {
        let has_place =
            self.count < entries_max && self.text.len() + 1 + entry.len() <= ROSTER_BYTES_MAX;
        if has_place {
            if !self.text.is_empty() {
                self.text.push(',');
            }
            self.text.push_str(entry);
            self.count += 1;
        }
        has_place
    }
}

#[cfg(test)]
mod tests {
    use super::{MemberConnection, Members, Presence};
    use crate::{
        hub::ConnRef,
        room::profile::{DeclaredPlugins, Profile},
    };
    use envelope::verdict::Status;
    use serde_json::{Value, json};
    use std::sync::Arc;

    const ENTRIES_MAX: usize = 2;

    fn profile(user_id: &str, verified: bool) -> Arc<Profile> {
        Arc::new(Profile {
            user_id: user_id.into(),
            display_name: user_id.to_uppercase().into(),
            description: None,
            profile_updated_at: None,
            verified,
        })
    }

    fn connection(user_id: &str, slot: u32, status: Status) -> MemberConnection {
        MemberConnection {
            conn: ConnRef {
                shard: 0,
                slot,
                generation: 0,
            },
            profile: profile(user_id, false),
            status,
            plugins: None,
        }
    }

    #[test]
    fn a_user_is_verified_if_all_its_connections_are() {
        let mut members = Members::default();
        let entry = |members: &Members| -> Value {
            let member = members.members.get("alice").expect("a member");
            serde_json::from_str(&member.entry).expect("JSON")
        };
        let proven = MemberConnection {
            profile: profile("alice", true),
            ..connection("alice", 1, Status::Online)
        };
        members.add(&proven, ENTRIES_MAX);
        assert_eq!(entry(&members)["verified"], true);
        let mut other = connection("alice", 2, Status::Online);
        other.profile = Arc::new(Profile {
            display_name: "Alice?".into(),
            ..Profile::clone(&other.profile)
        });
        members.add(&other, ENTRIES_MAX);
        let both = entry(&members);
        assert_eq!(
            (&both["verified"], &both["displayName"]),
            (&json!(false), &json!("ALICE")),
            "the proven one speaks for the user"
        );
        let declared = vec![("example.polls".to_owned(), String::new())];
        other.plugins = Some(Arc::new(DeclaredPlugins::new(declared)));
        members.update(&other);
        assert!(members.declare("example.polls"));
        members.remove(other.conn, "alice");
        assert_eq!(entry(&members)["verified"], true);
        assert!(!members.declare("example.polls"));
    }

    #[test]
    fn presence_is_that_of_the_user_and_not_of_a_connection() {
        let mut members = Members::default();
        let mut desk = connection("alice", 1, Status::Away);
        let phone = connection("alice", 2, Status::Online);
        let joined = members.add(&desk, ENTRIES_MAX);
        assert!(matches!(joined, Presence::Joined(_)));
        let online = Presence::Status(Status::Online);
        assert_eq!(members.add(&phone, ENTRIES_MAX), online);
        desk.status = Status::Busy;
        let busy = members.update(&desk);
        assert_eq!(busy, Some(Presence::Same), "the phone is still online");
        let gone = members.remove(phone.conn, "alice");
        assert_eq!(gone, Some(Presence::Status(Status::Busy)));
        assert_eq!(members.remove(phone.conn, "alice"), None, "it has left");
        let left = members.remove(desk.conn, "alice");
        assert_eq!(left, Some(Presence::Left("ALICE".into())));
        assert_eq!(members.len(), 0);
    }

    #[test]
    fn a_roster_has_the_others_page_by_page() {
        let mut members = Members::default();
        let roster = |members: &mut Members, own: &str, offset| -> (Value, Value) {
            let roster = members.roster("lobby", own, offset, ENTRIES_MAX);
            let frame = crate::frame::payload(&roster);
            let roster: Value = serde_json::from_slice(&frame).expect("JSON");
            let users = roster["users"].as_array().expect("a list").iter();
            let ids = users.map(|user| user["oderId"].clone()).collect();
            (ids, roster["total"].clone())
        };
        for (slot, user_id) in ["a", "b", "c"].iter().enumerate() {
            // The first page is kept and grows with each joining user.
            roster(&mut members, "new", 0);
            members.add(
                &connection(user_id, slot as u32, Status::Online),
                ENTRIES_MAX,
            );
        }
        let mut page = |own, offset| roster(&mut members, own, offset);
        assert_eq!(page("new", 0), (json!(["a", "b"]), json!(3)));
        assert_eq!(page("new", 2), (json!(["c"]), json!(3)));
        assert_eq!(page("c", 0), (json!(["a", "b"]), Value::Null));
        assert_eq!(page("a", 0), (json!(["b", "c"]), Value::Null));
    }

    #[test]
    fn a_roster_of_long_entries_ends_where_its_bytes_are_used_up() {
        let mut members = Members::default();
        let page = |members: &mut Members, own: &str, offset: usize| -> Vec<String> {
            let roster = members.roster("lobby", own, offset, 5_000);
            let json = crate::frame::payload(&roster);
            assert!(
                json.len() <= limits::socket::MESSAGE_BYTES_MAX,
                "{own} {offset}"
            );
            let roster: Value = serde_json::from_slice(&json).expect("JSON");
            let users = roster["users"].as_array().expect("a list").iter();
            let ids: Vec<_> = users
                .map(|user| user["oderId"].as_str().expect("an id").to_owned())
                .collect();
            if offset > 0 || ids.len() + 1 < members.len() {
                assert_eq!(roster["offset"], offset);
                assert!(roster["total"].as_u64() >= Some(ids.len() as u64));
            }
            ids
        };
        for at in 0..400 {
            // The first page is kept and grows until it is full.
            drop(members.roster("lobby", "new", 0, 5_000));
            let mut one = connection(&format!("u{at}"), at, Status::Online);
            one.profile = Arc::new(Profile {
                description: Some("\u{1}".repeat(if at < 390 { 2_000 } else { 1 }).into()),
                ..Profile::clone(&one.profile)
            });
            members.add(&one, 5_000);
        }
        for own in ["new", "u0", "u399"] {
            let mut seen = Vec::new();
            loop {
                let next = page(&mut members, own, seen.len());
                if next.is_empty() {
                    break;
                }
                seen.extend(next);
            }
            let all = (0..400).map(|at| format!("u{at}"));
            assert!(
                seen.into_iter().eq(all.filter(|id| id != own)),
                "in order, each once"
            );
        }
    }
}
