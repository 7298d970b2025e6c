//! What was found, as text with the lines of the manifest, or as JSON.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use plugin_manifest::{Code, Severity, Violation, import::Imported};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A manifest that was read, and what was found.
pub(super) struct Report {
    pub(super) file: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) imported: Imported,
    pub(super) violations: Vec<Violation>,
}

impl Report {
    fn count(&self, severity: Severity) -> usize {
        self.violations
            .iter()
            .filter(|violation| violation.severity == severity)
            .count()
    }

    /// Whether nothing is an error; warnings do not count.
    pub(super) fn is_ok(&self) -> bool {
        self.count(Severity::Error) == 0
    }

    /// One JSON object.
    pub(super) fn json(&self) -> String {
        let violations: Vec<_> = self
            .violations
            .iter()
            .map(|violation| {
                let (line, column) = violation.position(&self.bytes);
                json!({
                    "code": violation.code, "severity": violation.severity, "pointer": violation.pointer, "message": violation.message,
                    "help": violation.help, "line": line, "column": column,
                })
            })
            .collect();
        let file = self.file.display().to_string();
        json!({"file": file, "form": self.imported.form, "ok": self.is_ok(), "violations": violations}).to_string()
    }

    /// Each finding with the line that it concerns, and a summary.
    pub(super) fn text(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let path = shown(&self.file);
        let source = printable(&self.bytes);
        let mut text = String::new();
        for violation in &self.violations {
            text.push_str(&renderer.render(&[group(violation, &source, &path)]));
            text.push_str("\n\n");
        }
        text + &self.summary()
    }

    fn summary(&self) -> String {
        let plural = |count: usize, noun: &str| {
            format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
        };
        let counts: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
            .into_iter()
            .map(|(severity, noun)| (self.count(severity), noun))
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| plural(count, noun))
            .collect();
        let found = if counts.is_empty() {
            "no problems".to_owned()
        } else {
            counts.join(", ")
        };
        let verdict = match &self.imported.manifest {
            Some(manifest) if self.is_ok() => format!("ok, {} {}", manifest.id, manifest.version),
            _ => "refused".to_owned(),
        };
        format!("{}: {verdict} ({found})", shown(&self.file))
    }
}

/// A finding with the line that it concerns.
fn group<'a>(violation: &'a Violation, source: &'a str, path: &'a str) -> Group<'a> {
    let level = if violation.severity == Severity::Error {
        Level::ERROR
    } else {
        Level::WARNING
    };
    let title = level
        .primary_title(violation.message.as_str())
        .id(violation.code.as_str());
    let group = match violation.code {
        Code::TooLarge | Code::MoreViolations => {
            Group::with_title(title).element(Origin::path(path))
        }
        _ => {
            let span = first_line(source, violation.span.clone());
            title.element(
                Snippet::source(source)
                    .path(path)
                    .annotation(AnnotationKind::Primary.span(span)),
            )
        }
    };
    match &violation.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// A path without characters that control a terminal.
pub(super) fn shown(path: &Path) -> String {
    path.display()
        .to_string()
        .replace(char::is_control, "\u{fffd}")
}

/// The source as text of the same length, so that positions stay right: each byte that is not UTF-8 becomes a question mark.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

/// The part of a span on its first line, at character boundaries.
fn first_line(source: &str, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let boundary = |at: usize| {
        (0..=at.min(source.len()))
            .rev()
            .find(|at| source.is_char_boundary(*at))
            .unwrap_or(0)
    };
    let (start, end) = (boundary(span.start), boundary(span.end));
    let line = source[start..]
        .find('\n')
        .map_or(source.len(), |length| start + length);
    start..end.clamp(start, line)
}
