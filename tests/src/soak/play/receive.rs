//! What a connection receives, checked by the model.

use super::{LOUD, Outcome, Play};
use crate::soak::{
    model::{Room, User},
    wire::Heard,
};
use serde::Deserialize;
use std::{borrow::Cow, time::Duration};

/// Members of a server's envelope that the model needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    server_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    oder_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    users: Option<Vec<Entry<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    oder_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

fn number<T: std::str::FromStr>(text: Option<&str>, prefix: &str) -> Outcome<T> {
    let number = text.and_then(|text| text.strip_prefix(prefix)?.parse().ok());
    number.ok_or_else(|| format!("{text:?} is not {prefix} and a number"))
}

impl Play<'_> {
    /// Receives once.
    pub(super) fn turn(&mut self, patience: Duration) -> Outcome {
        let mut heard = std::mem::take(&mut self.heard);
        self.wire
            .turn(patience, &mut heard)
            .map_err(|error| error.to_string())?;
        for (at, what) in heard.drain(..) {
            match what {
                Heard::Open => self.opened(at),
                Heard::Text(text) => self.text(at, &text).map_err(|why| {
                    format!(
                        "{why}\nthe envelope: {}",
                        text.chars().take(300).collect::<String>()
                    )
                })?,
                Heard::Closed(code) => self.closed(at, code)?,
            }
        }
        self.heard = heard;
        self.sample();
        Ok(())
    }

    fn opened(&mut self, at: usize) {
        let user = self.user(at);
        self.wire.send(at, &format!(r#"{{"type":"identify","oderId":"u{user}","displayName":"User {user}","features":["errors"]}}"#));
        self.barrier(at);
    }

    fn closed(&mut self, at: usize, code: u16) -> Outcome {
        let Some(online) = self.places[at].take() else {
            return Ok(());
        };
        if online.departing.is_some() {
            return Ok(());
        }
        self.model.gone(online.serial, &online.certain);
        // 4013, or nothing if even the close frame did not fit.
        if online.has_stalled && [4013, 1006].contains(&code) {
            self.report.slow += 1;
            return Ok(());
        }
        Err(format!(
            "connection {} was closed with {code}, and had never stalled",
            online.serial
        ))
    }

    fn text(&mut self, at: usize, text: &str) -> Outcome {
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Some(online) = &self.places[at] else {
            return Ok(());
        };
        let serial = online.serial;
        if let Some(id) = envelope.request_id.as_deref() {
            return self.answered(at, number(Some(id), "b")?);
        }
        if online.departing.is_some() {
            return Ok(());
        }
        let room = || number::<Room>(envelope.server_id.as_deref(), "room-");
        let parting = || {
            Ok::<_, String>(
                online
                    .leaving
                    .is_some_and(|(leaving, _)| room() == Ok(leaving)),
            )
        };
        match &*envelope.r#type {
            "connected" | "plugin_requirements" | "status_update" => Ok(()),
            "chat_message" => {
                let message: Message<'_> =
                    serde_json::from_str(envelope.message.map_or("", |raw| raw.get()))
                        .map_err(|error| error.to_string())?;
                let (sender, count) = message.id.split_once('.').ok_or("an id")?;
                let (sender, count) = (number(Some(sender), "m")?, number(Some(count), "")?);
                self.report.received += 1;
                self.model.heard(serial, room()?, sender, count, parting()?)
            }
            kind @ ("user_joined" | "user_left") => {
                let user = number(envelope.oder_id.as_deref(), "u")?;
                self.report.presence += 1;
                self.model
                    .presence(serial, room()?, user, kind == "user_joined", parting()?)
            }
            "server_users" => {
                let users = envelope.users.as_deref().unwrap_or_default();
                let users: Vec<User> = users
                    .iter()
                    .map(|entry| number(Some(&*entry.oder_id), "u"))
                    .collect::<Outcome<_>>()?;
                self.entered(at, room()?, &users)
            }
            other => Err(format!("connection {serial} did not ask for {other}")),
        }
    }

    fn entered(&mut self, at: usize, room: Room, users: &[User]) -> Outcome {
        let user = self.user(at);
        let Some(online) = &mut self.places[at] else {
            return Ok(());
        };
        if online.entering.take() != Some(room) {
            return Err(format!(
                "connection {} did not ask for room {room}",
                online.serial
            ));
        }
        let serial = online.serial;
        if self.at_rest {
            let wanted = self.model.roster(room, user);
            if wanted != users.iter().copied().collect() {
                return Err(format!(
                    "a new member of room {room} sees {users:?}, and {wanted:?} are there"
                ));
            }
            self.report.rosters += 1;
        }
        self.model.joined(serial, room, users)?;
        if at < LOUD && room != 0 && self.model.rooms(serial).len() == 1 {
            self.enter(at, 0);
        }
        Ok(())
    }

    /// The answer to a barrier.
    fn answered(&mut self, at: usize, id: u64) -> Outcome {
        let user = self.user(at);
        let Some(online) = &mut self.places[at] else {
            return Ok(());
        };
        let barrier = online
            .barriers
            .pop_front()
            .filter(|barrier| barrier.id == id);
        let Some(barrier) = barrier else {
            return Err(format!(
                "connection {} got the answer {id} out of order",
                online.serial
            ));
        };
        online.certain = barrier.certain;
        if online.leaving.is_some_and(|(_, leaving)| leaving == id) {
            online.leaving = None;
        }
        if online.departing == Some(id) {
            // Both ways to end: with a close frame and by a reset.
            if id.is_multiple_of(2) {
                self.wire.close(at);
            } else {
                self.wire.cut(at);
                self.places[at] = None;
            }
            return Ok(());
        }
        if !online.identified {
            online.identified = true;
            let serial = online.serial;
            self.model.enter(serial, user);
            if at < self.plan.connections {
                let room = 1 + self.rng.below(self.plan.rooms() - 1) as Room;
                self.enter(at, room);
            }
        }
        Ok(())
    }
}
