//! The Spin interfaces that components import. A component's manifest entry alone decides what it may use.

mod key_value;
mod postgres;
mod postgres_pool;
mod postgres_values;
mod sqlite;
mod stream;
mod variables;

pub(crate) use key_value::KeyValueStore;
pub(crate) use postgres_pool::PostgresPools;

use crate::store_data::StoreData;
use std::sync::Arc;
use wasmtime::component::{Accessor, HasSelf, Linker, Resource};

/// Bindings of the vendored WIT in `wit/deps`.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/deps/spin-key-value@3.0.0",
            "../../wit/deps/spin-postgres@4.2.0",
            "../../wit/deps/spin-sqlite@3.1.0",
            "../../wit/deps/spin-variables@3.0.0",
        ],
        inline: "
            package jackfield:edge-host;
            world imports {
                import spin:key-value/key-value@3.0.0;
                import spin:postgres/postgres@4.2.0;
                import spin:sqlite/sqlite@3.1.0;
                import spin:variables/variables@3.0.0;
            }
        ",
        world: "jackfield:edge-host/imports",
        imports: { default: async | trappable },
        with: {
            "spin:key-value/key-value.store": super::key_value::Store,
            "spin:postgres/postgres.connection": super::postgres::Connection,
            "spin:postgres/postgres.connection-builder": super::postgres::Builder,
            "spin:sqlite/sqlite.connection": super::sqlite::Connection,
        },
    });
}

/// What a component's handle holds, by `part`: to be used while the component's other calls go on.
///
/// # Errors
/// The handle is not valid any more.
fn held<T: Send + 'static, H: Send + 'static, P>(
    store: &Accessor<T, HasSelf<StoreData>>,
    handle: &Resource<H>,
    part: impl FnOnce(&H) -> &Arc<P>,
) -> wasmtime::Result<Arc<P>> {
    Ok(store.with(|mut access| {
        access
            .get()
            .table
            .get(handle)
            .map(|held| part(held).clone())
    })?)
}

/// Adds all Spin interfaces to a linker.
///
/// # Errors
/// When a name is taken.
pub(crate) fn add_to_linker(linker: &mut Linker<StoreData>) -> wasmtime::Result<()> {
    bindings::Imports::add_to_linker::<_, HasSelf<StoreData>>(linker, |state| state)
}
