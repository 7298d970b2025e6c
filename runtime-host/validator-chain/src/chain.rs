//! The validator chain: the order of its components, and which verdicts each position may return.

use crate::{
    ChainConfig, ChainEngine, FilterConfig, OnFailure,
    contract::{check_decision, check_refusal, check_rewrite},
    load::{self, Loaded},
    slot::Slot,
    stats::ComponentStats,
    translate,
};
use anyhow::{Context as _, Result, bail};
use envelope::{
    Context, Envelope, Verdict,
    verdict::{self, Decision, Patch, Snapshot, Validator, ValidatorError},
};
use limits::validator::{CHAIN_LENGTH_MAX, FILTER_FAILURES_IN_A_ROW_MAX};
use std::{sync::Arc, time::Duration};

/// Compiled components in their order; makes a [`Chain`] for each shard. Clones share everything.
#[derive(Clone)]
pub struct ChainFactory {
    filters: Arc<[Filter]>,
    validator: Arc<Loaded>,
    call_deadline: Duration,
}

struct Filter {
    loaded: Arc<Loaded>,
    on_failure: OnFailure,
    types: Vec<String>,
}

impl std::fmt::Debug for ChainFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainFactory")
            .field("components", &self.stats())
            .finish()
    }
}

impl FilterConfig {
    /// Checks the filters of a chain without reading their files.
    ///
    /// # Errors
    /// There are too many, two have the same name, or one names a type that clients do not send.
    pub fn check(filters: &[Self]) -> Result<()> {
        let length = filters.len() + 1;
        if length > CHAIN_LENGTH_MAX {
            bail!("the validator chain has {length} components, the limit is {CHAIN_LENGTH_MAX}");
        }
        for (at, filter) in filters.iter().enumerate() {
            let same = |other: &Self| other.name == filter.name;
            if filter.name == VALIDATOR || filters[..at].iter().any(same) {
                bail!(
                    "two components of the validator chain are named '{}'",
                    filter.name
                );
            }
            for name in &filter.types {
                if !envelope::find(name).is_some_and(|kind| kind.direction.from_client()) {
                    bail!(
                        "filter '{}': '{name}' is not a type of envelope that clients send",
                        filter.name
                    );
                }
            }
        }
        Ok(())
    }
}

impl ChainFactory {
    /// Reads and compiles the components. Takes seconds for what is not in the engine's cache.
    ///
    /// # Errors
    /// A file cannot be read, is too large, is no component, or fits another world; the text names file, interface and
    /// version.
    pub fn load(engine: &ChainEngine, config: &ChainConfig) -> Result<Self> {
        FilterConfig::check(&config.filters)?;
        let mut filters: Vec<Filter> = Vec::with_capacity(config.filters.len());
        for filter in &config.filters {
            let loaded = load::load(engine, &filter.name, &filter.source.as_path().into(), false)?;
            filters.push(Filter {
                loaded,
                on_failure: filter.on_failure,
                types: filter.types.clone(),
            });
        }
        let validator = load::load(engine, VALIDATOR, &config.validator, true)?;
        Ok(Self {
            filters: filters.into(),
            validator,
            call_deadline: config.call_deadline,
        })
    }

    /// A chain with instances of its own.
    ///
    /// # Errors
    /// A component does not start.
    pub fn instance(&self) -> Result<Chain> {
        let filters = (0..self.filters.len())
            .map(|index| FilterSlot {
                slot: self.slot(&self.filters[index].loaded),
                failures_in_a_row: 0,
            })
            .collect();
        let mut chain = Chain {
            factory: self.clone(),
            filters,
            validator: self.slot(&self.validator),
        };
        for filter_slot in &mut chain.filters {
            filter_slot
                .slot
                .start()
                .context("a filter does not start")?;
        }
        chain
            .validator
            .start()
            .context("the validator does not start")?;
        Ok(chain)
    }

    /// Counters of each component, in chain order.
    #[must_use]
    pub fn stats(&self) -> Vec<ComponentStats> {
        let filters = self
            .filters
            .iter()
            .map(|filter| filter.loaded.counters().read());
        filters
            .chain(std::iter::once(self.validator.counters().read()))
            .collect()
    }

    fn slot(&self, loaded: &Arc<Loaded>) -> Slot {
        Slot::new(Arc::clone(loaded), self.call_deadline)
    }
}

const VALIDATOR: &str = "validator";

/// The chain of one shard.
pub struct Chain {
    factory: ChainFactory,
    filters: Vec<FilterSlot>,
    validator: Slot,
}

/// One filter of a chain, with its instance.
struct FilterSlot {
    slot: Slot,
    /// At [`FILTER_FAILURES_IN_A_ROW_MAX`] a filter with the policy `skip` is left out. Definitions of any server that
    /// are delivered reset it.
    failures_in_a_row: u32,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("factory", &self.factory)
            .finish_non_exhaustive()
    }
}

/// The result of the filters.
enum Filtered {
    /// The envelope continues to the validator, with new bytes if a filter rewrote it.
    Goes(Option<Vec<u8>>),
    /// A filter's verdict is final.
    Ends(Verdict),
}

impl Validator for Chain {
    fn validate(
        &mut self,
        context: &Context<'_>,
        envelope: &[u8],
    ) -> Result<Verdict, ValidatorError> {
        let rewritten = match self.filter(context, envelope)? {
            Filtered::Goes(rewritten) => rewritten,
            Filtered::Ends(verdict) => return Ok(verdict),
        };
        let bytes = rewritten.as_deref().unwrap_or(envelope);
        let verdict = translate::verdict(
            self.validator
                .validate(translate::context(context), bytes)?,
        );
        let breach = |reason: &str| Err(breach(&self.validator, reason));
        match verdict {
            Verdict::Route(decision) => match check_decision(&decision, bytes) {
                Ok(()) => Ok(Verdict::Route(whole(decision, envelope, rewritten))),
                Err(reason) => breach(&reason),
            },
            Verdict::Refuse(refusal) => match check_refusal(&refusal) {
                Ok(()) => Ok(Verdict::Refuse(refusal)),
                Err(reason) => breach(reason),
            },
            Verdict::Pass | Verdict::Rewrite(_) => breach("the validator must decide"),
            Verdict::NeedSnapshot(_) | Verdict::Later(_) => Ok(verdict),
        }
    }

    fn update_definitions(&mut self, snapshot: &Snapshot) -> Result<(), ValidatorError> {
        let wire = translate::Snapshot::new(snapshot);
        for (filter_slot, filter) in self.filters.iter_mut().zip(&*self.factory.filters) {
            filter_slot.failures_in_a_row = 0;
            if !filter_slot.slot.takes_definitions() {
                continue;
            }
            match (
                filter_slot.slot.update_definitions(wire.param()),
                filter.on_failure,
            ) {
                (Ok(()), _) => {}
                (Err(_), OnFailure::Skip) => filter_slot.failures_in_a_row = 1,
                (Err(error), OnFailure::Refuse) => return Err(error),
            }
        }
        self.validator.update_definitions(wire.param())
    }
}

impl Chain {
    /// Calls the filters. They see valid JSON objects only; anything else is refused by the validator.
    fn filter(
        &mut self,
        context: &Context<'_>,
        original: &[u8],
    ) -> Result<Filtered, ValidatorError> {
        if self.filters.is_empty() {
            return Ok(Filtered::Goes(None));
        }
        let Ok(envelope) = Envelope::decode(original) else {
            return Ok(Filtered::Goes(None));
        };
        let kind = envelope.text("type");
        let mut rewritten: Option<Vec<u8>> = None;
        for (filter_slot, filter) in self.filters.iter_mut().zip(&*self.factory.filters) {
            let is_asked = filter.types.is_empty()
                || filter
                    .types
                    .iter()
                    .any(|name| Some(name.as_str()) == kind.as_deref());
            let is_left_out = filter.on_failure == OnFailure::Skip
                && filter_slot.failures_in_a_row >= FILTER_FAILURES_IN_A_ROW_MAX;
            if !is_asked || is_left_out {
                continue;
            }
            let bytes = rewritten.as_deref().unwrap_or(original);
            match (
                filter_slot.ask(context, bytes, &envelope),
                filter.on_failure,
            ) {
                (Ok(Verdict::Pass), _) => {}
                (Ok(Verdict::Rewrite(new)), _) => rewritten = Some(new),
                (Ok(verdict), _) => return Ok(Filtered::Ends(verdict)),
                (Err(error), OnFailure::Refuse) => return Err(error),
                (Err(_), OnFailure::Skip) => filter_slot.count_failure(),
            }
        }
        Ok(Filtered::Goes(rewritten))
    }
}

impl FilterSlot {
    /// Calls a filter and checks its verdict.
    fn ask(
        &mut self,
        context: &Context<'_>,
        bytes: &[u8],
        original: &Envelope<'_>,
    ) -> Result<Verdict, ValidatorError> {
        let verdict = translate::verdict(self.slot.validate(translate::context(context), bytes)?);
        let checked = match &verdict {
            Verdict::Pass | Verdict::Later(_) => Ok(()),
            Verdict::NeedSnapshot(_) if self.slot.takes_definitions() => Ok(()),
            Verdict::NeedSnapshot(_) => {
                Err("asks for a snapshot but does not export the interface that takes it")
            }
            Verdict::Rewrite(new) => check_rewrite(new, original),
            Verdict::Refuse(refusal) => check_refusal(refusal),
            Verdict::Route(_) => Err("only the validator may route"),
        };
        checked.map_err(|reason| breach(&self.slot, reason))?;
        self.failures_in_a_row = 0;
        Ok(verdict)
    }

    fn count_failure(&mut self) {
        self.failures_in_a_row += 1;
        if self.failures_in_a_row == FILTER_FAILURES_IN_A_ROW_MAX {
            let component = self.slot.counters().name();
            tracing::error!(
                component,
                "filter failed {FILTER_FAILURES_IN_A_ROW_MAX} times in a row; it is left out until definitions are delivered again"
            );
        }
    }
}

fn breach(slot: &Slot, reason: &str) -> ValidatorError {
    slot.counters().contract_breach();
    let component = slot.counters().name().to_owned();
    tracing::warn!(component, reason, "component broke its contract");
    ValidatorError::Contract {
        component,
        reason: reason.to_owned(),
    }
}

/// Patches for the original envelope; if a filter rewrote it, one patch replaces the whole envelope.
fn whole(decision: Decision, original: &[u8], rewritten: Option<Vec<u8>>) -> Decision {
    let Some(rewritten) = rewritten else {
        return decision;
    };
    let insert = verdict::apply(&rewritten, &decision.patches).unwrap_or(rewritten);
    let remove = u32::try_from(original.len()).unwrap_or(u32::MAX);
    Decision {
        patches: vec![Patch {
            offset: 0,
            remove,
            insert,
        }],
        effects: decision.effects,
    }
}
