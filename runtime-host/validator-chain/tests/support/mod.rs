//! Chains of built components, in one line each.
#![allow(dead_code, reason = "each test program uses a part of it")]

use envelope::{Context, verdict::Membership};
use sandbox::CodeCache;
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};
use test_support::{component, guest};
use validator_chain::{Chain, ChainConfig, ChainEngine, ChainFactory, FilterConfig, OnFailure};

/// One engine for all tests of a program.
pub(crate) fn engine() -> &'static ChainEngine {
    static ENGINE: OnceLock<ChainEngine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("code-cache");
        ChainEngine::new(CodeCache::open(&folder).expect("a cache")).expect("an engine")
    })
}

/// The validator of the product.
pub(crate) fn validator() -> PathBuf {
    component("envelope-validator")
}

pub(crate) fn filter(package: &str, on_failure: OnFailure) -> FilterConfig {
    FilterConfig {
        name: package.to_owned(),
        source: guest(package),
        on_failure,
        types: Vec::new(),
    }
}

pub(crate) fn factory(filters: Vec<FilterConfig>, validator: PathBuf) -> ChainFactory {
    factory_with(filters, validator, ChainConfig::CALL_DEADLINE)
}

/// A chain whose components get `call_deadline` of processor time for one call.
pub(crate) fn factory_with(
    filters: Vec<FilterConfig>,
    validator: PathBuf,
    call_deadline: Duration,
) -> ChainFactory {
    // One at a time: the first test compiles a component, the others find its code in the cache.
    static LOADING: Mutex<()> = Mutex::new(());
    let _loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let config = ChainConfig {
        filters,
        validator: validator.into(),
        call_deadline,
    };
    ChainFactory::load(engine(), &config).expect("a chain")
}

pub(crate) fn chain(filters: Vec<FilterConfig>, validator: PathBuf) -> Chain {
    factory(filters, validator).instance().expect("instances")
}

pub(crate) const ALICE: Context<'static> = Context {
    now_ms: 1_777_470_000_000,
    connection_id: "c1",
    user_id: Some("alice"),
    display_name: "Alice",
    server_id: Some("s1"),
    server_implied: false,
    server_revision: 1,
    membership: Membership::Joined,
};
