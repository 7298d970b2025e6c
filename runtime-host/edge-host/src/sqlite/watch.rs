//! Tells the program around the host that a component committed a change of one table.

use std::sync::OnceLock;

/// The watched table and what to do after a commit that changed it. Empty until [`Watch::set`].
#[derive(Default)]
pub(crate) struct Watch(OnceLock<Watched>);

struct Watched {
    table: String,
    announce: Box<dyn Fn() + Send + Sync>,
}

impl Watch {
    /// Watches `table`; a second call has no effect. `announce` runs on the thread of the statement and must not block.
    pub(crate) fn set(&self, table: &str, announce: Box<dyn Fn() + Send + Sync>) {
        self.0.get_or_init(|| Watched {
            table: table.to_owned(),
            announce,
        });
    }

    pub(super) fn is_for(&self, table: &str) -> bool {
        self.0.get().is_some_and(|watched| watched.table == table)
    }

    pub(super) fn announce(&self) {
        if let Some(watched) = self.0.get() {
            (watched.announce)();
        }
    }
}
