//! The slab of a shard's connections: a slot is reused, and its generation tells the connections that had it apart.

use crate::{hub::ConnRef, session::Session, shard::sockets::connection::Conn};

/// The connections of a shard by slot.
#[derive(Debug)]
pub(super) struct Connections {
    shard: u16,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    conn: Option<Conn>,
}

impl Connections {
    pub(super) fn new(shard: u16) -> Self {
        Self {
            shard,
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The slot that the next inserted connection gets.
    pub(super) fn next_slot(&self) -> u32 {
        let fresh = self.slots.len() as u32;
        self.free.last().copied().unwrap_or(fresh)
    }

    /// Adds a connection in [`Connections::next_slot`].
    pub(super) fn insert(&mut self, conn: Conn) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize].conn = Some(conn);
    }

    /// Removes the connection in a slot.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Conn> {
        let entry = self.slots.get_mut(slot as usize)?;
        let conn = entry.conn.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
        Some(conn)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Conn> {
        self.slots.get(slot as usize)?.conn.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Conn> {
        self.slots.get_mut(slot as usize)?.conn.as_mut()
    }

    pub(super) fn session(&self, slot: u32) -> Option<&Session> {
        self.get(slot)?.session.as_deref()
    }

    pub(super) fn session_mut(&mut self, slot: u32) -> Option<&mut Session> {
        self.get_mut(slot)?.session.as_deref_mut()
    }

    /// The reference by which other threads name the connection in a slot.
    pub(super) fn reference(&self, slot: u32) -> ConnRef {
        ConnRef {
            shard: self.shard,
            slot,
            generation: self.slots[slot as usize].generation,
        }
    }

    /// The slot that a reference names, while it still does.
    pub(super) fn resolve(&self, reference: ConnRef) -> Option<u32> {
        let slot = self.slots.get(reference.slot as usize)?;
        (slot.generation == reference.generation && slot.conn.is_some()).then_some(reference.slot)
    }

    /// The slots of the connections that `wanted` selects.
    pub(super) fn select(&self, wanted: impl Fn(&Conn) -> bool) -> impl Iterator<Item = u32> {
        let slots = self.slots.iter().zip(0..);
        slots
            .filter(move |(slot, _)| slot.conn.as_ref().is_some_and(&wanted))
            .map(|(_, at)| at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }
}
