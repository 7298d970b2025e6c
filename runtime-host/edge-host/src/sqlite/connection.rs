//! Connections: how one is set up, what SQL may not do with it, and how it goes back to the pool. A connection in the pool has no open
//! transaction, and no setting, temporary table or attached database of its last user.

use super::{Database, Watch};
use limits::edge_host as bounds;
use parking_lot::Mutex;
use rusqlite::{
    Connection, OpenFlags,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
};
use std::{
    cell::Cell,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Virtual machine steps between two looks at the clock: some ten microseconds.
const STEPS_PER_LOOK: i32 = 1_000;

/// The thread that a statement runs on decides how long it may take and whether it may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Thread {
    /// A blocking thread: the statement may wait for other writers and has [`bounds::QUERY_TIMEOUT_MS`].
    Blocking,
    /// A thread that serves other requests too: the statement never waits, has [`bounds::SQLITE_IN_PLACE_US`], and handles no
    /// value above [`bounds::SQLITE_IN_PLACE_BYTES_MAX`], so that no single step of it takes long.
    Shared,
}

impl Thread {
    fn time(self) -> Duration {
        match self {
            Self::Blocking => Duration::from_millis(bounds::QUERY_TIMEOUT_MS),
            Self::Shared => Duration::from_micros(bounds::SQLITE_IN_PLACE_US),
        }
    }
}

/// An open connection.
pub(super) struct Open {
    pub(super) connection: Connection,
    /// A statement changed settings or made temporary objects, so that the connection cannot go back to the pool.
    marked: Arc<AtomicBool>,
    /// End of the running statement, microseconds since `since`; 0 for none.
    deadline: Arc<AtomicU64>,
    since: Instant,
    /// The thread that the connection's waiting time and value size are set for.
    set_for: Cell<Thread>,
    /// SQLite's own bound of a value's bytes.
    value_bytes_max: i32,
    /// A statement changed the watched table; announced once its transaction is over.
    touched: Arc<AtomicBool>,
    watch: Arc<Watch>,
}

impl Open {
    /// Opens a file with the settings that all users share: write-ahead log, full sync, foreign keys (as Spin), a bounded wait.
    pub(super) fn new(path: &Path, watch: &Arc<Watch>) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        // A file that cannot even be opened is left as it is, too: closing must not move its log into it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.busy_timeout(Duration::from_millis(bounds::SQLITE_BUSY_TIMEOUT_MS))?;
        connection.set_prepared_statement_cache_capacity(bounds::SQLITE_STATEMENTS_MAX);
        // Otherwise a kept statement is compiled again for each new value that a partial index could be compared with.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )?;
        // The authorizer denies every ATTACH; these hold even if it were passed.
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false)?;
        let value_bytes_max = connection.limit(Limit::SQLITE_LIMIT_LENGTH)?;
        let marked = Arc::new(AtomicBool::new(false));
        let mark = marked.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            authorize(&context.action, &mark)
        }))?;
        let deadline = Arc::new(AtomicU64::new(0));
        let since = Instant::now();
        let end = deadline.clone();
        connection.progress_handler(
            STEPS_PER_LOOK,
            Some(move || {
                let end = end.load(Ordering::Relaxed);
                end != 0 && since.elapsed().as_micros() as u64 > end
            }),
        )?;
        let touched = Arc::new(AtomicBool::new(false));
        let (touch, watched) = (touched.clone(), watch.clone());
        connection.update_hook(Some(move |_, _: &str, table: &str, _| {
            if watched.is_for(table) {
                touch.store(true, Ordering::Relaxed);
            }
        }))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok(Self {
            connection,
            marked,
            deadline,
            since,
            set_for: Cell::new(Thread::Blocking),
            value_bytes_max,
            touched,
            watch: watch.clone(),
        })
    }

    /// Sets the bounds of the next statement and starts its clock.
    ///
    /// # Errors
    /// When SQLite refuses a setting.
    pub(super) fn start_clock(&self, thread: Thread) -> rusqlite::Result<()> {
        if self.set_for.get() != thread {
            let (wait_ms, value_bytes_max) = match thread {
                Thread::Blocking => (bounds::SQLITE_BUSY_TIMEOUT_MS, self.value_bytes_max),
                Thread::Shared => (0, bounds::SQLITE_IN_PLACE_BYTES_MAX as i32),
            };
            self.connection
                .busy_timeout(Duration::from_millis(wait_ms))?;
            self.connection
                .set_limit(Limit::SQLITE_LIMIT_LENGTH, value_bytes_max)?;
            self.set_for.set(thread);
        }
        let end = self.since.elapsed() + thread.time();
        self.deadline
            .store(end.as_micros() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn stop_clock(&self) {
        self.deadline.store(0, Ordering::Relaxed);
    }

    /// Announces a change of the watched table, unless its transaction is still open.
    fn announce(&self) {
        if self.connection.is_autocommit() && self.touched.swap(false, Ordering::Relaxed) {
            self.watch.announce();
        }
    }
}

/// What SQL may do. It may not touch other files, weaken durability or corrupt the schema; whatever stays with the connection marks it. Actions
/// that are not named here are denied: SQLite reports an `ATTACH` whose file name is no literal as an action without a name.
fn authorize(action: &AuthAction<'_>, marked: &AtomicBool) -> Authorization {
    match action {
        AuthAction::Pragma {
            pragma_name,
            pragma_value: Some(value),
        } => match pragma_name.to_ascii_lowercase().as_str() {
            "journal_mode" if !value.eq_ignore_ascii_case("wal") => return Authorization::Deny,
            "synchronous"
                if !matches!(
                    value.to_ascii_lowercase().as_str(),
                    "full" | "extra" | "2" | "3"
                ) =>
            {
                return Authorization::Deny;
            }
            "writable_schema" | "temp_store_directory" | "data_store_directory" => {
                return Authorization::Deny;
            }
            // These name a table or describe the file, not the connection.
            "user_version" | "application_id" | "table_info" | "table_xinfo" | "table_list"
            | "index_list" | "index_info" | "index_xinfo" | "foreign_key_list"
            | "foreign_key_check" | "quick_check" | "integrity_check" | "optimize"
            | "wal_checkpoint" => {}
            _ => marked.store(true, Ordering::Relaxed),
        },
        AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempIndex { .. } => marked.store(true, Ordering::Relaxed),
        AuthAction::Pragma { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::CreateVtable { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::DropVtable { .. }
        | AuthAction::Analyze { .. }
        | AuthAction::Reindex { .. }
        | AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        | AuthAction::Function { .. }
        | AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. } => {}
        _ => return Authorization::Deny,
    }
    Authorization::Allow
}

/// A connection in the hands of one component instance.
pub(crate) struct Lease {
    database: Arc<Database>,
    open: Mutex<Option<Open>>,
    /// Changes that earlier users of the connection made.
    changes_before: u64,
    rowid_before: i64,
}

impl Lease {
    pub(super) fn new(database: Arc<Database>, open: Open) -> Self {
        let changes_before = open.connection.total_changes();
        let rowid_before = open.connection.last_insert_rowid();
        Self {
            database,
            open: Mutex::new(Some(open)),
            changes_before,
            rowid_before,
        }
    }

    /// Uses the connection unless a statement of another request holds it. Does not wait.
    pub(super) fn try_with<T>(&self, work: impl FnOnce(&Open) -> T) -> Option<T> {
        let guard = self.open.try_lock()?;
        let open = guard.as_ref()?;
        let result = work(open);
        open.stop_clock();
        Some(result)
    }

    /// Whether giving the connection back touches no file: nothing runs on it, no transaction is open, and it goes to the pool.
    pub(crate) fn is_settled(&self) -> bool {
        self.try_with(|open| {
            open.connection.is_autocommit() && !open.marked.load(Ordering::Relaxed)
        })
        .unwrap_or_default()
    }

    /// Uses the connection; callers queue. Blocks; not for async threads.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Open) -> T) -> T {
        let guard = self.open.lock();
        let open = guard
            .as_ref()
            .expect("a lease holds its connection until it is dropped");
        let result = work(open);
        open.stop_clock();
        open.announce();
        result
    }

    /// Rows changed by the newest statement of this user. Blocks while a statement runs.
    pub(crate) fn changes(&self) -> u64 {
        self.with(|open| self.changes_of(open))
    }

    /// [`Self::changes`], unless a statement runs.
    pub(crate) fn try_changes(&self) -> Option<u64> {
        self.try_with(|open| self.changes_of(open))
    }

    fn changes_of(&self, open: &Open) -> u64 {
        if open.connection.total_changes() == self.changes_before {
            0
        } else {
            open.connection.changes()
        }
    }

    /// Row id of the newest insert of this user, 0 before the first. Blocks while a statement runs.
    pub(crate) fn last_insert_rowid(&self) -> i64 {
        self.with(|open| self.rowid_of(open))
    }

    /// [`Self::last_insert_rowid`], unless a statement runs.
    pub(crate) fn try_last_insert_rowid(&self) -> Option<i64> {
        self.try_with(|open| self.rowid_of(open))
    }

    fn rowid_of(&self, open: &Open) -> i64 {
        let rowid = open.connection.last_insert_rowid();
        let untouched =
            rowid == self.rowid_before && open.connection.total_changes() == self.changes_before;
        if untouched { 0 } else { rowid }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(open) = self.open.get_mut().take() else {
            return;
        };
        let clean =
            open.connection.is_autocommit() || open.connection.execute_batch("ROLLBACK").is_ok();
        open.touched.store(false, Ordering::Relaxed);
        if clean && !open.marked.load(Ordering::Relaxed) {
            self.database.give_back(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Open;
    use rusqlite::StatementStatus;

    #[test]
    fn a_kept_statement_is_not_compiled_again_for_another_value() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = Open::new(&folder.path().join("test.db"), &Default::default()).expect("a file");
        let schema = "CREATE TABLE entry (kind TEXT, key TEXT); \
            CREATE INDEX members ON entry (key) WHERE kind = 'member';";
        open.connection.execute_batch(schema).expect("a schema");
        let sql = "SELECT key FROM entry WHERE kind = ?1 AND key = ?2";
        let mut statement = open.connection.prepare(sql).expect("a statement");
        for kind in ["member", "role", "member"] {
            let mut rows = statement.query([kind, "k"]).expect("rows");
            assert!(rows.next().expect("a step").is_none());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
