//! The model: which messages each connection must have received.
//!
//! A logical clock counts actions and received frames of this process. A connection is a *certain*
//! member of a room from receiving `server_users` on; messages sent after that must arrive, in
//! order per sender, without a gap and without duplicates, until the member leaves or ends. A
//! message is certain if its sender is alive or has received an answer to something it sent later;
//! of a connection that was cut only the last messages may be lost. The presence events of a room,
//! applied to the roster at the join, must give the true roster at rest.

use std::collections::{BTreeSet, HashMap};

/// A connection, from its opening to its end; numbers are never used again.
pub type Serial = u32;
/// An identity.
pub type User = u32;
/// A room.
pub type Room = u32;

/// One sender's messages in one room.
#[derive(Debug, Default)]
struct Log {
    /// Number of messages sent before the last settling.
    base: u32,
    /// When each of the others was sent.
    sent_at: Vec<u64>,
    /// Number of messages that the host has certainly received, if the sender is gone.
    certain: Option<u32>,
}

impl Log {
    fn total(&self) -> u32 {
        self.base + self.sent_at.len() as u32
    }

    /// The first message that a certain member since `joined_at` must have received.
    fn first_due(&self, joined_at: u64) -> u32 {
        self.base + self.sent_at.partition_point(|at| *at <= joined_at) as u32
    }
}

/// One membership of one connection, from the moment it is certain.
#[derive(Debug)]
struct Span {
    joined_at: u64,
    roster: BTreeSet<User>,
    /// The last message received from each sender.
    last: HashMap<Serial, u32>,
}

#[derive(Debug)]
struct Member {
    user: User,
    spans: HashMap<Room, Span>,
}

/// The state of the model.
#[derive(Debug, Default)]
pub struct Model {
    clock: u64,
    members: HashMap<Serial, Member>,
    logs: HashMap<Room, HashMap<Serial, Log>>,
}

impl Model {
    /// A connection has identified.
    pub fn enter(&mut self, serial: Serial, user: User) {
        self.members.insert(
            serial,
            Member {
                user,
                spans: HashMap::new(),
            },
        );
    }

    /// A connection is in a room: it has received the roster.
    ///
    /// # Errors
    /// The roster names a user twice, or the connection itself.
    pub fn joined(&mut self, serial: Serial, room: Room, roster: &[User]) -> Result<(), String> {
        self.clock += 1;
        let joined_at = self.clock;
        let Some(member) = self.members.get_mut(&serial) else {
            return Ok(());
        };
        let users: BTreeSet<User> = roster.iter().copied().collect();
        if users.len() != roster.len() || users.contains(&member.user) {
            return Err(format!(
                "connection {serial} (user {}) got the roster {roster:?} of room {room}",
                member.user
            ));
        }
        member.spans.insert(
            room,
            Span {
                joined_at,
                roster: users,
                last: HashMap::new(),
            },
        );
        Ok(())
    }

    /// A connection leaves a room: it is owed no more messages.
    pub fn left(&mut self, serial: Serial, room: Room) {
        self.clock += 1;
        if let Some(member) = self.members.get_mut(&serial) {
            member.spans.remove(&room);
        }
    }

    /// A connection sends a message; returns its number.
    pub fn sent(&mut self, serial: Serial, room: Room) -> u32 {
        self.clock += 1;
        let log = self
            .logs
            .entry(room)
            .or_default()
            .entry(serial)
            .or_default();
        log.sent_at.push(self.clock);
        log.total() - 1
    }

    /// Number of messages a connection has sent, by room: an answer to something sent now makes
    /// them certain.
    #[must_use]
    pub fn so_far(&self, serial: Serial) -> Vec<(Room, u32)> {
        self.logs
            .iter()
            .filter_map(|(room, logs)| Some((*room, logs.get(&serial)?.total())))
            .collect()
    }

    /// A connection has ended or is ending; `certain` counts its certain messages by room.
    pub fn gone(&mut self, serial: Serial, certain: &[(Room, u32)]) {
        self.clock += 1;
        self.members.remove(&serial);
        for (room, logs) in &mut self.logs {
            if let Some(log) = logs.get_mut(&serial) {
                let certain = certain
                    .iter()
                    .find(|(certain, _)| certain == room)
                    .map_or(0, |(_, count)| *count);
                log.certain = Some(certain.max(log.base));
            }
        }
    }

    /// Rooms of which a connection is a certain member.
    #[must_use]
    pub fn rooms(&self, serial: Serial) -> Vec<Room> {
        let mut rooms: Vec<_> = self
            .members
            .get(&serial)
            .map(|member| member.spans.keys().copied().collect())
            .unwrap_or_default();
        rooms.sort_unstable();
        rooms
    }

    /// A message has arrived. `parting`: the receiver has asked to leave that room and has no
    /// answer yet.
    ///
    /// # Errors
    /// It was never sent, arrived twice, out of order or after a gap, or the receiver is not a
    /// member.
    pub fn heard(
        &mut self,
        serial: Serial,
        room: Room,
        sender: Serial,
        number: u32,
        parting: bool,
    ) -> Result<(), String> {
        self.clock += 1;
        let told = || {
            format!(
                "message {number} of connection {sender} in room {room}, heard by connection {serial}"
            )
        };
        let Some(log) = self.logs.get(&room).and_then(|logs| logs.get(&sender)) else {
            return Err(format!("{}: nobody sent it", told()));
        };
        if number >= log.total() {
            return Err(format!("{}: only {} were sent", told(), log.total()));
        }
        let Some(span) = self
            .members
            .get_mut(&serial)
            .and_then(|member| member.spans.get_mut(&room))
        else {
            return if parting {
                Ok(())
            } else {
                Err(format!("{}: it is not in that room", told()))
            };
        };
        match span.last.get(&sender) {
            Some(last) if number <= *last => {
                return Err(format!("{}: twice or out of order, it had {last}", told()));
            }
            Some(last) if number > last + 1 => {
                return Err(format!("{}: a gap, it had {last}", told()));
            }
            None if number > log.first_due(span.joined_at) => {
                return Err(format!(
                    "{}: {} was due before",
                    told(),
                    log.first_due(span.joined_at)
                ));
            }
            _ => {}
        }
        span.last.insert(sender, number);
        Ok(())
    }

    /// A member receives `user_joined` or `user_left` of a room.
    ///
    /// # Errors
    /// The user joins twice, leaves without having joined, or is the member itself.
    pub fn presence(
        &mut self,
        serial: Serial,
        room: Room,
        user: User,
        present: bool,
        parting: bool,
    ) -> Result<(), String> {
        self.clock += 1;
        let told = format!(
            "user {user} {} room {room}, heard by connection {serial}",
            if present { "joined" } else { "left" }
        );
        let Some(member) = self.members.get_mut(&serial) else {
            return Ok(());
        };
        let own = member.user == user;
        let Some(span) = member.spans.get_mut(&room) else {
            return if parting {
                Ok(())
            } else {
                Err(format!("{told}: it is not in that room"))
            };
        };
        let changed = if present {
            span.roster.insert(user)
        } else {
            span.roster.remove(&user)
        };
        if own || !changed {
            return Err(format!(
                "{told}: {}",
                if own { "itself" } else { "that was known" }
            ));
        }
        Ok(())
    }

    /// Whether these connections, if they are in the room, have received everything that a sender
    /// has sent there.
    #[must_use]
    pub fn have_heard(
        &self,
        mut listeners: impl Iterator<Item = Serial>,
        room: Room,
        sender: Serial,
    ) -> bool {
        let Some(log) = self.logs.get(&room).and_then(|logs| logs.get(&sender)) else {
            return true;
        };
        listeners.all(|serial| {
            let span = self
                .members
                .get(&serial)
                .filter(|_| serial != sender)
                .and_then(|member| member.spans.get(&room));
            span.is_none_or(|span| {
                span.last
                    .get(&sender)
                    .map_or_else(|| log.first_due(span.joined_at), |last| last + 1)
                    >= log.total()
            })
        })
    }

    /// The users of each room.
    fn present(&self) -> HashMap<Room, BTreeSet<User>> {
        let mut present: HashMap<Room, BTreeSet<User>> = HashMap::new();
        for member in self.members.values() {
            for room in member.spans.keys() {
                present.entry(*room).or_default().insert(member.user);
            }
        }
        present
    }

    /// Who has to be in the roster that `user` would get of a room.
    #[must_use]
    pub fn roster(&self, room: Room, user: User) -> BTreeSet<User> {
        let mut present = self.present().remove(&room).unwrap_or_default();
        present.remove(&user);
        present
    }

    /// The first expected message that has not arrived.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let present = self.present();
        for (serial, member) in &self.members {
            for (room, span) in &member.spans {
                for (sender, log) in self
                    .logs
                    .get(room)
                    .into_iter()
                    .flatten()
                    .filter(|(sender, _)| *sender != serial)
                {
                    let due = log.certain.unwrap_or_else(|| log.total());
                    let next = span
                        .last
                        .get(sender)
                        .map_or_else(|| log.first_due(span.joined_at), |last| last + 1);
                    if next < due {
                        return Some(format!(
                            "connection {serial} in room {room} waits for message {next} of connection {sender}, which sent {due}"
                        ));
                    }
                }
                let mut wanted = present[room].clone();
                wanted.remove(&member.user);
                if wanted != span.roster {
                    let ghosts: Vec<_> = span.roster.difference(&wanted).collect();
                    let unseen: Vec<_> = wanted.difference(&span.roster).collect();
                    return Some(format!(
                        "connection {serial} (user {}) in room {room} sees the ghosts {ghosts:?} and not {unseen:?}",
                        member.user
                    ));
                }
            }
        }
        None
    }

    /// Everything is at rest, and nothing is missing: what was sent until now is over.
    pub fn rest(&mut self) {
        for logs in self.logs.values_mut() {
            logs.retain(|_, log| log.certain.is_none());
            for log in logs.values_mut() {
                log.base = log.total();
                log.sent_at.clear();
            }
        }
        let logs = &self.logs;
        for (room, span) in self
            .members
            .values_mut()
            .flat_map(|member| &mut member.spans)
        {
            span.last
                .retain(|sender, _| logs.get(room).is_some_and(|logs| logs.contains_key(sender)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Model;

    /// Two members, the second of which was there first.
    fn pair() -> Model {
        let mut model = Model::default();
        for serial in [1, 2] {
            model.enter(serial, serial);
        }
        model.joined(2, 7, &[]).expect("a roster");
        model.joined(1, 7, &[2]).expect("a roster");
        model.presence(2, 7, 1, true, false).expect("news");
        model
    }

    #[test]
    fn what_comes_as_it_was_sent_is_fine() {
        let mut model = pair();
        for number in 0..3 {
            assert_eq!(model.sent(1, 7), number);
            assert!(model.missing().is_some());
            model.heard(2, 7, 1, number, false).expect("in order");
        }
        assert_eq!(model.missing(), None);
        model.rest();
        assert_eq!(model.sent(1, 7), 3);
        assert!(model.heard(2, 7, 1, 3, false).is_ok() && model.missing().is_none());
    }

    #[test]
    fn every_kind_of_mistake_is_found() {
        let mut model = pair();
        for _ in 0..4 {
            model.sent(1, 7);
        }
        assert!(model.heard(2, 7, 1, 1, false).is_err(), "the first is lost");
        model.heard(2, 7, 1, 0, false).expect("the first");
        assert!(model.heard(2, 7, 1, 0, false).is_err(), "twice");
        assert!(model.heard(2, 7, 1, 2, false).is_err(), "a gap");
        assert!(model.heard(2, 7, 1, 9, false).is_err(), "never sent");
        assert!(model.heard(2, 7, 5, 0, false).is_err(), "of nobody");
        model.left(2, 7);
        assert!(model.heard(2, 7, 1, 1, true).is_ok(), "on its way");
        assert!(model.heard(2, 7, 1, 1, false).is_err(), "after it has left");
        assert!(
            model.presence(1, 7, 2, true, false).is_err(),
            "it was there"
        );
        assert!(
            model
                .missing()
                .is_some_and(|missing| missing.contains("ghosts [2]"))
        );
        model.presence(1, 7, 2, false, false).expect("news");
        assert!(
            model.presence(1, 7, 2, false, false).is_err(),
            "it was gone"
        );
        assert_eq!(model.missing(), None);
        assert!(model.joined(2, 7, &[1, 1]).is_err() && model.joined(2, 7, &[2]).is_err());
    }

    #[test]
    fn of_a_cut_connection_the_last_messages_may_be_lost() {
        let mut model = pair();
        model.sent(1, 7);
        let certain = model.so_far(1);
        model.sent(1, 7);
        model.gone(1, &certain);
        model.presence(2, 7, 1, false, false).expect("news");
        assert!(model.missing().is_some(), "the first one is certain");
        model.heard(2, 7, 1, 0, false).expect("the first");
        assert_eq!(model.missing(), None, "the second is not");
    }
}
