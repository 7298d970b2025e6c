//! Taking turns: every server measured once, and again, so that what the machine does meanwhile touches all of them.

use super::Bench;
use crate::{
    figure::{Bound, Figure, Unit, median, paired_ratio},
    load::{Crowd, Sample},
    server::Kind,
};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;

/// Values of one measurement by server, one for each turn.
#[derive(Debug, Default)]
pub(crate) struct Series(BTreeMap<Kind, Vec<f64>>);

impl Series {
    /// Adds what a turn of one server gave.
    pub(crate) fn add(&mut self, kind: Kind, value: f64) {
        self.0.entry(kind).or_default().push(value);
    }

    /// What the turns of one server gave.
    pub(crate) fn of(&self, kind: Kind) -> &[f64] {
        self.0.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// The median of one server's turns.
    pub(crate) fn median(&self, kind: Kind) -> f64 {
        median(self.of(kind))
    }

    /// The subject as a ratio to a reference.
    pub(crate) fn ratio(&self, reference: Kind) -> f64 {
        paired_ratio(self.of(Kind::Subject), self.of(reference))
    }

    /// A figure that compares the subject with a reference.
    pub(crate) fn against(
        &self,
        case: &'static str,
        what: &str,
        reference: Kind,
        unit: Unit,
        bounds: (Option<f64>, Option<f64>),
    ) -> Figure {
        let show = |kind: Kind| format!("{} {}", kind.name(), unit.show(self.median(kind)));
        Figure {
            case,
            what: format!("{what} / {}", reference.name()),
            value: self.ratio(reference),
            unit: Unit::Times,
            aim: bounds.0.map(Bound::AtMost),
            must: bounds.1.map(Bound::AtMost),
            note: format!("{}, {}", show(Kind::Subject), show(reference)),
        }
    }
}

/// Lets each of `kinds` have its turn `pairs` times, with a server of its own each time.
pub(crate) fn fresh_turns(
    bench: &Bench,
    case: &str,
    pairs: usize,
    kinds: &[Kind],
    mut turn: impl FnMut(Kind) -> Result<()>,
) -> Result<()> {
    for pair in 1..=pairs {
        for kind in kinds {
            bench.say(&format!("{case}: pair {pair} of {pairs}, {}", kind.name()));
            turn(*kind).with_context(|| format!("{case}: {}", kind.name()))?;
        }
    }
    Ok(())
}

/// Crowds of all servers, alive at once: those that do not have their turn only sleep.
pub(crate) struct Crowds(Vec<(Kind, Crowd)>);

impl Crowds {
    /// Gathers `rooms` rooms of `members` on every server.
    pub(crate) fn gather(
        bench: &Bench,
        rooms: usize,
        members: usize,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let gather = |kind: Kind| {
            bench.say(&format!("{}: {rooms} rooms of {members}", kind.name()));
            let crowd = Crowd::gather(kind, &bench.place, environment, rooms, members)
                .with_context(|| kind.name())?;
            Ok((kind, crowd))
        };
        Ok(Self(
            Kind::TURNS.into_iter().map(gather).collect::<Result<_>>()?,
        ))
    }

    /// Lets every server have its turn `bench.pairs` times, after one that does not count.
    pub(crate) fn take_turns(
        &mut self,
        bench: &Bench,
        what: &str,
        mut turn: impl FnMut(&mut Crowd) -> Result<Sample>,
        mut keep: impl FnMut(Kind, &Sample),
    ) -> Result<()> {
        for pair in 0..=bench.pairs {
            if pair > 0 {
                bench.say(&format!("{what}: pair {pair} of {}", bench.pairs));
            }
            for (kind, crowd) in &mut self.0 {
                let sample = turn(crowd)
                    .with_context(|| format!("{what}: {}\n{}", kind.name(), crowd.server.log()))?;
                if pair > 0 {
                    keep(*kind, &sample);
                }
            }
            // While the others had their turn, these had pings to answer.
            for (_, crowd) in &mut self.0 {
                crowd.swarm.turn(|_, _| ())?;
            }
        }
        Ok(())
    }
}
