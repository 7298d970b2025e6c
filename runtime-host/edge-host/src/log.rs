//! Standard output and error of components, line by line into tracing with the component's name.

use limits::edge_host::LOG_LINE_BYTES_MAX;
use sandbox::{Lines, Sink};
use std::sync::Arc;

/// One stream of one component.
pub(crate) enum Stream {
    /// Standard output, logged at level info.
    Out(Arc<str>),
    /// Standard error, logged at level warn.
    Error(Arc<str>),
}

impl Stream {
    /// For one instance.
    pub(crate) fn lines(self) -> Lines<Self> {
        Lines::new(LOG_LINE_BYTES_MAX, self)
    }
}

impl Sink for Stream {
    fn line(&self, text: &str) {
        match self {
            Self::Out(component) => {
                tracing::info!(target: "component", component = &**component, "{text}")
            }
            Self::Error(component) => {
                tracing::warn!(target: "component", component = &**component, "{text}")
            }
        }
    }
}
