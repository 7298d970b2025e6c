//! The schema and its versions. Migrations run forward only, one after another, each statement safe to run twice,
//! because two instances may start at once. A schema newer than known is never touched: every request is then answered
//! with `DATABASE_NEWER`.

use super::{Fault, Store};
use std::cell::Cell;

const SQLITE: &[&str] = &[include_str!("../../migrations/sqlite/0001.sql")];
const POSTGRES: &[&str] = &[include_str!("../../migrations/postgres/0001.sql")];

const _: () = assert!(
    SQLITE.len() == POSTGRES.len(),
    "each version exists for both databases"
);

/// The version that this component knows: the number of its migrations.
pub(super) const VERSION: u64 = SQLITE.len() as u64;

thread_local! {
    /// This instance has seen the schema at [`VERSION`].
    static CURRENT: Cell<bool> = const { Cell::new(false) };
}

/// Brings the schema to [`VERSION`].
pub(super) async fn ensure(store: &Store) -> Result<(), Fault> {
    if CURRENT.get() {
        return Ok(());
    }
    store
        .run(
            "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
            Vec::new(),
        )
        .await?;
    let rows = store
        .run(
            "SELECT value FROM meta WHERE name = 'schema_version'",
            Vec::new(),
        )
        .await?;
    let found = rows
        .first()
        .and_then(|row| row.first())
        .map_or(0, super::Cell::int);
    if found > VERSION {
        return Err(Fault::Newer(found));
    }
    let migrations = if store.is_postgres() {
        POSTGRES
    } else {
        SQLITE
    };
    for (version, migration) in (1_u64..)
        .zip(migrations)
        .filter(|(version, _)| *version > found)
    {
        for statement in migration.split("\n--;\n") {
            store.run(statement, Vec::new()).await?;
        }
        let note = "INSERT INTO meta (name, value) VALUES ('schema_version', ?1) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > meta.value";
        store.run(note, vec![version.into()]).await?;
    }
    CURRENT.set(true);
    Ok(())
}
