//! Standard output and error of a component, as lines.
//!
//! A component that writes without end costs the buffer of one line; longer lines are cut, with a note.

use parking_lot::Mutex;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// Receives the lines.
pub trait Sink: Send + 'static {
    /// Takes a line without its end. Invalid UTF-8 is replaced; a cut line ends with the number of cut bytes.
    fn line(&self, text: &str);
}

/// One stream of one instance.
pub struct Lines<S: Sink>(Arc<Mutex<Line<S>>>);

struct Line<S: Sink> {
    sink: S,
    bytes: Vec<u8>,
    bytes_max: usize,
    cut: usize,
}

impl<S: Sink> Lines<S> {
    /// Lines of at most `bytes_max` bytes for `sink`.
    pub fn new(bytes_max: usize, sink: S) -> Self {
        Self(Arc::new(Mutex::new(Line {
            sink,
            bytes: Vec::new(),
            bytes_max,
            cut: 0,
        })))
    }
}

impl<S: Sink> Clone for Lines<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Sink> Line<S> {
    fn take(&mut self, written: &[u8]) {
        for piece in written.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let kept = text.len().min(self.bytes_max - self.bytes.len());
            self.bytes.extend_from_slice(&text[..kept]);
            self.cut += text.len() - kept;
            if ends {
                self.emit();
            }
        }
    }

    fn emit(&mut self) {
        if !self.bytes.is_empty() {
            let text = String::from_utf8_lossy(&self.bytes);
            match self.cut {
                0 => self.sink.line(&text),
                cut => self.sink.line(&format!("{text} [{cut} bytes cut]")),
            }
        }
        self.bytes.clear();
        self.cut = 0;
    }
}

/// An unfinished last line, often a panic's, is kept.
impl<S: Sink> Drop for Line<S> {
    fn drop(&mut self) {
        self.emit();
    }
}

impl<S: Sink> IsTerminal for Lines<S> {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl<S: Sink> StdoutStream for Lines<S> {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl<S: Sink> AsyncWrite for Lines<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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

#[cfg(test)]
mod tests {
    use super::{Line, Sink};
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<String>>>);

    impl Sink for Page {
        fn line(&self, text: &str) {
            self.0.lock().push(text.to_owned());
        }
    }

    #[test]
    fn lines_are_cut_and_the_last_one_is_kept() {
        let page = Page::default();
        let mut line = Line {
            sink: page.clone(),
            bytes: Vec::new(),
            bytes_max: 4,
            cut: 0,
        };
        for piece in [&b"ab"[..], b"c\nlonger", b" still\n\n", b"\xff\nrest"] {
            line.take(piece);
        }
        drop(line);
        assert_eq!(
            *page.0.lock(),
            ["abc", "long [8 bytes cut]", "\u{fffd}", "rest"]
        );
    }
}
