//! `jackfield check`: reads a plugin's manifest and names everything that is wrong, like a compiler.
//!
//! What it is not: the checker, which is `plugin-manifest`; here files are found, read and looked for, and findings are printed. The look at links
//! is advice for authors: whoever loads a plugin opens its files below the folder and nowhere else, whatever was found here.
//! Invariant: at most [`BYTES_MAX`] + 1 bytes of a manifest are read, and nothing but manifests is.
//!
//! Exit codes: 0 no error, 1 errors, 2 nothing to check or unreadable.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use anyhow::{Context as _, ensure};
use limits::manifest::BYTES_MAX;
use plugin_manifest::{
    Code, Options, Severity, Violation,
    import::{self, Imported},
};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Exit code when there was nothing to check.
const UNUSABLE: u8 = 2;

/// Check a plugin's manifest
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub check: CheckArgs,
    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What is checked, and how strictly.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The plugin's folder, or the file that describes it
    pub path: PathBuf,
    /// Refuse unknown fields instead of warning about them
    #[arg(long)]
    pub strict: bool,
}

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, json: bool) -> ExitCode {
    let mut out = io::stdout().lock();
    match examine(
        &args.path,
        Options {
            strict: args.strict,
        },
    ) {
        Ok(examined) => {
            let text = if json {
                examined.json()
            } else {
                examined.text(wants_colour(&out))
            };
            // A closed pipe is the reader's choice; the verdict is in the exit code.
            let _ = writeln!(out, "{text}");
            ExitCode::from(u8::from(!examined.is_ok()))
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "error: {error:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn wants_colour(out: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    out.is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A manifest that was read, and what was found.
struct Examined {
    file: PathBuf,
    bytes: Vec<u8>,
    imported: Imported,
    violations: Vec<Violation>,
}

fn examine(path: &Path, options: Options) -> anyhow::Result<Examined> {
    let file = locate(path)?;
    let bytes = read(&file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut imported = import::import(&name, &bytes, options);
    let mut violations = std::mem::take(&mut imported.violations);
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    violations.extend(files(&imported, folder));
    violations.sort_by_key(|violation| violation.span.start);
    Ok(Examined {
        file,
        bytes,
        imported,
        violations,
    })
}

/// The file itself, or the first in a folder that may describe a plugin.
fn locate(path: &Path) -> anyhow::Result<PathBuf> {
    let kind = fs::metadata(path).with_context(|| shown(path))?;
    if !kind.is_dir() {
        return Ok(path.to_owned());
    }
    let found = import::LOOKUP_ORDER
        .iter()
        .map(|name| path.join(name))
        .find(|file| file.is_file());
    found.with_context(|| {
        format!(
            "{}: no plugin here, none of {} is in the folder",
            shown(path),
            import::LOOKUP_ORDER.join(", ")
        )
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let name = || shown(file);
    // A pipe or device could make us wait for ever.
    ensure!(
        fs::metadata(file).with_context(name)?.is_file(),
        "{}: not a regular file",
        shown(file)
    );
    let mut bytes = Vec::new();
    File::open(file)
        .with_context(name)?
        .take(BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(name)?;
    Ok(bytes)
}

/// What the manifest names but the folder lacks, and what leads out of the folder through links (T8, T9).
fn files(imported: &Imported, folder: &Path) -> Vec<Violation> {
    let (Some(manifest), Ok(root)) = (&imported.manifest, fs::canonicalize(folder)) else {
        return Vec::new();
    };
    let finding = |(pointer, path): (String, &plugin_manifest::RelativePath)| {
        let target = path
            .segments()
            .fold(root.clone(), |folder, segment| folder.join(segment));
        let (code, message, help) = match fs::canonicalize(&target) {
            Ok(real) if !real.starts_with(&root) => (
                Code::FileEscapes,
                format!("{path} leads out of the plugin's folder through a link"),
                Some("copy the file into the folder"),
            ),
            Ok(real) if real.is_file() => return None,
            Ok(_) => (Code::FileMissing, format!("{path} is not a file"), None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (
                Code::FileMissing,
                format!("{path} is not in the folder"),
                Some("build the plugin first, or correct the path"),
            ),
            Err(error) => (
                Code::FileMissing,
                format!("{path} cannot be read: {error}"),
                None,
            ),
        };
        let (pointer, span) = imported.place(&pointer).unwrap_or((pointer, 0..0));
        Some(Violation::new(
            code,
            &pointer,
            span,
            message,
            help.map(str::to_owned),
        ))
    };
    manifest.files().into_iter().filter_map(finding).collect()
}

impl Examined {
    fn count(&self, severity: Severity) -> usize {
        self.violations
            .iter()
            .filter(|violation| violation.severity == severity)
            .count()
    }

    fn is_ok(&self) -> bool {
        self.count(Severity::Error) == 0
    }

    fn json(&self) -> String {
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

    fn text(&self, colour: bool) -> String {
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
            "nothing to complain about".to_owned()
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

/// One finding with the line it stands on.
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

/// A path for a terminal: what could steer it is replaced.
fn shown(path: &Path) -> String {
    path.display()
        .to_string()
        .replace(char::is_control, "\u{fffd}")
}

/// The source as text of the same length: each byte that is not UTF-8 becomes a question mark, so that places stay right.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

/// The part of a span that stands on its first line, at the boundaries of characters.
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

#[cfg(test)]
mod tests {
    use super::{Examined, examine};
    use plugin_manifest::{Code, Form, Options};
    use serde_json::{Value, json};
    use std::{fs, path::Path};

    const MANIFEST: &str = r#"{
  "schemaVersion": 1, "id": "a.bc", "title": "T", "description": "", "version": "1.0.0", "apiVersion": "1.0.0",
  "kind": "client", "compatibility": {"minimumHostVersion": "0.0.0"},
  "entrypoint": "./dist/main.js", "readme": "README.md"
}
"#;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        folder
    }

    fn check(path: &Path) -> Examined {
        examine(path, Options::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn codes(examined: &Examined) -> Vec<Code> {
        examined
            .violations
            .iter()
            .map(|violation| violation.code)
            .collect()
    }

    #[test]
    fn a_complete_folder_is_ok() {
        let folder = folder(&[
            ("jackfield.json", MANIFEST),
            ("dist/main.js", ""),
            ("README.md", ""),
        ]);
        let examined = check(folder.path());
        assert!(examined.is_ok() && examined.violations.is_empty());
        assert!(
            examined
                .text(false)
                .ends_with("jackfield.json: ok, a.bc 1.0.0 (nothing to complain about)")
        );
        let json: Value = serde_json::from_str(&examined.json()).unwrap();
        assert_eq!(
            (&json["ok"], &json["form"], &json["violations"]),
            (&json!(true), &json!("jackfield"), &json!([]))
        );
    }

    #[test]
    fn files_are_looked_for_in_order() {
        let all = [
            ("package.json", "{}"),
            ("plugin.toml", ""),
            ("plugin.json", "{}"),
            ("toju-plugin.json", MANIFEST),
            ("jackfield.json", MANIFEST),
        ];
        for (count, form) in [
            (5, Form::Jackfield),
            (4, Form::Toju),
            (3, Form::Toju),
            (2, Form::Thoth),
            (1, Form::Jcode),
        ] {
            assert_eq!(check(folder(&all[..count]).path()).imported.form, form);
        }
        let empty = folder(&[("README.md", "")]);
        let Err(error) = examine(empty.path(), Options::default()) else {
            panic!("there is no plugin")
        };
        assert!(
            error
                .to_string()
                .contains("none of jackfield.json, toju-plugin.json"),
            "{error}"
        );
        assert!(examine(&empty.path().join("absent"), Options::default()).is_err());
    }

    #[test]
    fn missing_files_are_warned_about_at_their_place() {
        let folder = folder(&[("jackfield.json", MANIFEST), ("README.md/inner", "")]);
        let examined = check(folder.path());
        assert!(examined.is_ok());
        assert_eq!(codes(&examined), [Code::FileMissing, Code::FileMissing]);
        let json: Value = serde_json::from_str(&examined.json()).unwrap();
        assert_eq!(json["violations"][0]["pointer"], "/entrypoint");
        assert_eq!(
            (
                &json["violations"][0]["line"],
                &json["violations"][0]["column"]
            ),
            (&json!(4), &json!(17))
        );
        assert_eq!(json["violations"][1]["message"], "README.md is not a file");
    }

    #[cfg(unix)]
    #[test]
    fn links_may_not_leave_the_folder() {
        let outside = folder(&[("secret", "canary")]);
        let folder = folder(&[("jackfield.json", MANIFEST), ("real.md", "")]);
        std::os::unix::fs::symlink(outside.path(), folder.path().join("dist")).unwrap();
        std::os::unix::fs::symlink("real.md", folder.path().join("README.md")).unwrap();
        fs::write(outside.path().join("main.js"), "").unwrap();
        let examined = check(folder.path());
        assert_eq!(codes(&examined), [Code::FileEscapes]);
        assert!(!examined.is_ok());
        assert!(!examined.text(false).contains("canary"));
    }

    #[test]
    fn findings_of_foreign_forms_point_into_their_own_file() {
        let package = r#"{"name": "abc", "version": "1.0.0", "jcode": {"entry": "./index.js"}}"#;
        let folder = folder(&[("package.json", package)]);
        let json: Value = serde_json::from_str(&check(folder.path()).json()).unwrap();
        assert_eq!(json["violations"][0]["pointer"], "/jcode/entry");
        assert_eq!(json["violations"][0]["column"], 56);
    }

    #[test]
    fn the_text_reads_like_a_compilers() {
        let broken = MANIFEST
            .replace("\"1.0.0\", \"api", "\"1.0\", \"api")
            .replace("./dist", "..")
            .replace("\"title\"", "\"titel\"");
        let folder = folder(&[("jackfield.json", &broken)]);
        let file = folder.path().join("jackfield.json");
        let text = check(&file)
            .text(false)
            .replace(&file.display().to_string(), "jackfield.json");
        let expected = r#"error[MISSING_FIELD]: title is missing
 --> jackfield.json:1:1
  |
1 | {
  | ^
  |
  = help: is "titel" meant to be it?

warning[UNKNOWN_KEY]: titel is not a known field
 --> jackfield.json:2:37
  |
2 |   "schemaVersion": 1, "id": "a.bc", "titel": "T", "description": "", "version": "1.0", "apiVersion": "1.0.0",
  |                                     ^^^^^^^
  |
  = help: did you mean "title"?

"#;
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("error[PATH_ESCAPES]: entrypoint must not hold the segment '..'\n --> jackfield.json:4:17\n"), "{text}");
        assert!(
            text.ends_with("jackfield.json: refused (3 errors, 1 warning)"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}') && check(&file).text(true).contains('\u{1b}'));
    }

    #[test]
    fn hostile_bytes_do_not_reach_the_terminal() {
        for bytes in [
            &b"{\"title\": \"\x1b]0;evil\x07\"}"[..],
            b"{\"\xff\xfe\": \"\xc0\xaf",
            "{\"a\u{202e}b\": 1}".as_bytes(),
            b"",
            b"\xef\xbb\xbf{}",
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("plugin.json"), bytes).unwrap();
            let examined = check(folder.path());
            assert!(!examined.is_ok());
            let text = examined.text(false);
            assert!(
                !text
                    .chars()
                    .any(|letter| letter != '\n' && letter.is_control())
                    && !text.contains('\u{202e}'),
                "{text:?}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("jackfield.json"),
            vec![b' '; limits::manifest::BYTES_MAX + 1],
        )
        .unwrap();
        assert_eq!(codes(&check(folder.path())), [Code::TooLarge]);
    }
}
