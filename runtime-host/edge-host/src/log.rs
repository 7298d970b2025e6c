//! Standard output and error of components, line by line into tracing with the component's name.
//!
//! Invariant: a component that writes without end costs at most one line buffer; long lines are cut and say so.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use limits::edge_host::LOG_LINE_BYTES_MAX;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Logged at level info.
    Out,
    /// Logged at level warn.
    Error,
}

/// One stream of one component instance.
#[derive(Clone)]
pub(crate) struct LineLog(Arc<Mutex<Line>>);

struct Line {
    component: Arc<str>,
    stream: Stream,
    bytes: Vec<u8>,
    cut: usize,
}

impl LineLog {
    pub(crate) fn new(component: Arc<str>, stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(Line { component, stream, bytes: Vec::new(), cut: 0 })))
    }
}

impl Line {
    fn take(&mut self, written: &[u8]) {
        for piece in written.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = LOG_LINE_BYTES_MAX - self.bytes.len();
            let kept = text.len().min(room);
            self.bytes.extend_from_slice(&text[..kept]);
            self.cut += text.len() - kept;
            if ends {
                self.emit();
            }
        }
    }

    fn emit(&mut self) {
        if self.bytes.is_empty() && self.cut == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&self.bytes);
        let cut = if self.cut > 0 { format!(" [{} bytes cut]", self.cut) } else { String::new() };
        match self.stream {
            Stream::Out => tracing::info!(target: "component", component = &*self.component, "{text}{cut}"),
            Stream::Error => tracing::warn!(target: "component", component = &*self.component, "{text}{cut}"),
        }
        self.bytes.clear();
        self.cut = 0;
    }
}

/// An unfinished last line (a panic's, often) must not be lost with the instance.
impl Drop for Line {
    fn drop(&mut self) {
        self.emit();
    }
}

impl IsTerminal for LineLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LineLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LineLog {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
