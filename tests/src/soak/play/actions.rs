//! What a connection sends: joins, messages, stalls, bursts, ends.

use super::{
    BURST_BYTES, BURST_MESSAGES, BURST_STEP, Barrier, DEAF, LOUD, Outcome, Play, ROOMS_MAX,
    room_name,
};
use crate::{rng::Rng, soak::model::Room};
use std::time::{Duration, Instant};

impl Play<'_> {
    /// Sends an envelope that is always answered; returns its number.
    pub(super) fn barrier(&mut self, at: usize) -> u64 {
        let Some(online) = &mut self.places[at] else {
            return 0;
        };
        self.barriers += 1;
        let id = self.barriers;
        online.barriers.push_back(Barrier {
            id,
            certain: self.model.so_far(online.serial),
        });
        self.wire.send(
            at,
            &format!(r#"{{"type":"ice_candidate","requestId":"b{id}"}}"#),
        );
        id
    }

    pub(super) fn enter(&mut self, at: usize, room: Room) {
        let Some(online) = &mut self.places[at] else {
            return;
        };
        online.entering = Some(room);
        self.wire.send(
            at,
            &format!(
                r#"{{"type":"join_server","serverId":"{}"}}"#,
                room_name(room)
            ),
        );
    }

    pub(super) fn leave(&mut self, at: usize, room: Room) {
        let Some(serial) = self.places[at].as_ref().map(|online| online.serial) else {
            return;
        };
        self.model.left(serial, room);
        self.wire.send(
            at,
            &format!(
                r#"{{"type":"leave_server","serverId":"{}"}}"#,
                room_name(room)
            ),
        );
        let id = self.barrier(at);
        if let Some(online) = &mut self.places[at] {
            online.leaving = Some((room, id));
        }
    }

    pub(super) fn talk(&mut self, at: usize, room: Room, bytes: usize) {
        let Some(serial) = self.places[at].as_ref().map(|online| online.serial) else {
            return;
        };
        let number = self.model.sent(serial, room);
        let content = "x".repeat(bytes);
        self.report.sent += 1;
        self.wire.send(
            at,
            &format!(
                r#"{{"type":"chat_message","serverId":"{}","message":{{"id":"m{serial}.{number}","content":"{content}"}}}}"#,
                room_name(room)
            ),
        );
    }

    /// One random action.
    pub(super) fn act(&mut self) -> Outcome {
        let at = self.rng.below(self.plan.connections);
        let Some(online) = &self.places[at] else {
            return self.open(at);
        };
        if online
            .stalled_until
            .is_some_and(|until| until <= Instant::now())
        {
            self.resume(at);
            return Ok(());
        }
        if !online.is_idle() || self.burst.is_some_and(|(sender, _)| sender == at) {
            return Ok(());
        }
        let serial = online.serial;
        let rooms = self.model.rooms(serial);
        let some_room = |rng: &mut Rng| rooms.get(rng.below(rooms.len())).copied();
        match self.rng.below(100) {
            0..8 if rooms.len() < ROOMS_MAX => {
                let room = 1 + self.rng.below(self.plan.rooms() - 1) as Room;
                if !rooms.contains(&room) {
                    self.enter(at, room);
                }
            }
            8..15 if rooms.len() > 1 => {
                if let Some(room) = some_room(&mut self.rng) {
                    self.leave(at, room);
                }
            }
            15..21 => {
                let id = self.barrier(at);
                let certain = self.model.so_far(serial);
                self.model.gone(serial, &certain);
                if let Some(online) = &mut self.places[at] {
                    online.departing = Some(id);
                }
            }
            21..24 => {
                let certain = online.certain.clone();
                self.model.gone(serial, &certain);
                self.wire.cut(at);
                self.places[at] = None;
                self.report.cut += 1;
            }
            24..28 => {
                let millis = 200 + self.rng.below(2_800) as u64;
                self.stall(at, Duration::from_millis(millis));
            }
            28..36 => {
                self.barrier(at);
            }
            // One member of the loud room stalls, and another one sends a burst.
            36..40 if at < DEAF && self.burst.is_none() && rooms.contains(&0) => {
                let speaker = (DEAF..LOUD).find(|other| {
                    self.places[*other].as_ref().is_some_and(|online| {
                        online.is_idle() && self.model.rooms(online.serial).contains(&0)
                    })
                });
                if let Some(speaker) = speaker {
                    self.stall(at, Duration::from_secs(8));
                    self.burst = Some((speaker, BURST_MESSAGES));
                }
            }
            _ => {
                if let Some(room) = some_room(&mut self.rng) {
                    let bytes = if self.rng.chance(5) {
                        4 * limits::KIB
                    } else {
                        60
                    };
                    self.talk(at, room, bytes);
                }
            }
        }
        Ok(())
    }

    fn stall(&mut self, at: usize, pause: Duration) {
        let Some(online) = &mut self.places[at] else {
            return;
        };
        (online.stalled_until, online.has_stalled) = (Some(Instant::now() + pause), true);
        self.wire.stall(at, true);
    }

    pub(super) fn resume(&mut self, at: usize) {
        if let Some(online) = &mut self.places[at]
            && online.stalled_until.take().is_some()
        {
            self.wire.stall(at, false);
            self.report.resumed += 1;
        }
    }

    pub(super) fn burst_on(&mut self) {
        let Some((speaker, left)) = self.burst else {
            return;
        };
        let there = self.places[speaker]
            .as_ref()
            .is_some_and(|online| online.is_idle() && self.model.rooms(online.serial).contains(&0));
        if !there || left == 0 {
            self.burst = None;
            return;
        }
        // Not faster than reading members can follow, so that only stalled ones are slow.
        let serial = self.places[speaker]
            .as_ref()
            .map_or(0, |online| online.serial);
        let listening = self.places[DEAF..LOUD]
            .iter()
            .flatten()
            .filter(|online| online.stalled_until.is_none())
            .map(|online| online.serial);
        if !self.model.have_heard(listening, 0, serial) {
            return;
        }
        for _ in 0..BURST_STEP.min(left) {
            self.talk(speaker, 0, BURST_BYTES);
        }
        self.burst = Some((speaker, left - BURST_STEP.min(left)));
    }
}
