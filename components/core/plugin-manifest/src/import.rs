//! Import of manifests of other plugin systems into the canonical form.
//!
//! An importer rewrites a tree whose values keep their positions in the source file. The result goes through the same
//! checker, so that its violations point into the author's file. A key without a canonical counterpart is reported by a
//! warning.

mod build;
mod jcode;
mod package;
mod thoth;
mod toju;
mod toml_tree;
mod toru;

use crate::{
    Form, Manifest, Options, finish,
    node::Node,
    read, validate,
    violation::{Code, Report, Violation},
};
use limits::manifest::BYTES_MAX;

/// The files that may describe a plugin, in the order in which they are looked for.
pub const LOOKUP_ORDER: [&str; 5] = [
    "jackfield.json",
    "toju-plugin.json",
    "plugin.json",
    "plugin.toml",
    "package.json",
];

/// What came of reading a document of some form.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The form that was read.
    pub form: Form,
    /// The manifest; its text is the canonical print, or the document itself when that is canonical already. `None`
    /// exactly when a violation is an error.
    pub manifest: Option<Manifest>,
    /// Everything that is wrong; places and pointers are those of the document that was read.
    pub violations: Vec<Violation>,
    /// The foreign tree and the canonical one made of it, or the canonical one alone.
    trees: Vec<Node>,
}

impl Imported {
    fn refused(form: Form, report: Report) -> Self {
        Self {
            form,
            manifest: None,
            violations: report.finish(),
            trees: Vec::new(),
        }
    }

    /// Where the value at a canonical JSON pointer stands in the document that was read: its pointer there, and its
    /// bytes. `None` for what the importer made up.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Option<(String, std::ops::Range<usize>)> {
        let span = self.trees.last()?.at(pointer)?.span.clone();
        let source = self.trees.first().filter(|_| !span.is_empty())?;
        Some((source.pointer_at(span.start), span))
    }
}

/// The form that a file's name stands for, directories before it ignored.
#[must_use]
pub fn form_of_file(name: &str) -> Option<Form> {
    match name.rsplit(['/', '\\']).next()? {
        "jackfield.json" => Some(Form::Jackfield),
        "toju-plugin.json" | "plugin.json" => Some(Form::Toju),
        "package.json" => Some(Form::Jcode),
        name if name.ends_with(".toml") => Some(Form::Thoth),
        _ => None,
    }
}

/// Reads the document `bytes` that stands in a file called `name`. Where the name does not settle the form, the content
/// does.
#[must_use]
pub fn import(name: &str, bytes: &[u8], options: Options) -> Imported {
    let named = form_of_file(name);
    let mut report = Report::default();
    let node = match named {
        Some(Form::Thoth) if bytes.len() <= BYTES_MAX => toml_tree::read(bytes, &mut report),
        _ => read(bytes, &mut report),
    };
    let form = match (named, &node) {
        (None | Some(Form::Toju), Some(node)) if toru::is_metadata(node) => Form::Toru,
        (Some(form), _) => form,
        (None, _) => Form::Jackfield,
    };
    let Some(source) = node else {
        return Imported::refused(form, report);
    };
    if form == Form::Jackfield {
        validate::manifest(&source, options.strict, &mut report);
        let outcome = finish(
            &source,
            std::str::from_utf8(bytes).unwrap_or_default().into(),
            report,
        );
        return Imported {
            form,
            manifest: outcome.manifest,
            violations: outcome.violations,
            trees: vec![source],
        };
    }
    convert(form, source, options, report)
}

/// Reads what a process plugin prints for `--metadata`.
#[must_use]
pub fn import_metadata(bytes: &[u8], options: Options) -> Imported {
    let mut report = Report::default();
    match read(bytes, &mut report) {
        Some(source) => convert(Form::Toru, source, options, report),
        None => Imported::refused(Form::Toru, report),
    }
}

fn convert(form: Form, source: Node, options: Options, mut report: Report) -> Imported {
    if !source.is_object() {
        report.error(
            Code::BadType,
            "",
            source.span.clone(),
            &format!("the file must hold an object, not {}", source.kind_name()),
        );
    }
    let canonical = match form {
        _ if !source.is_object() => None,
        Form::Jackfield => Some(source.clone()),
        Form::Toju => Some(toju::canonical(&source)),
        Form::Toru => Some(toru::canonical(&source, &mut report)),
        Form::Jcode => package::canonical(&source, &mut report),
        Form::Thoth => Some(thoth::canonical(&source, &mut report)),
    };
    let Some(canonical) = canonical else {
        return Imported::refused(form, report);
    };
    validate::manifest(&canonical, options.strict, &mut report);
    let outcome = finish(&canonical, canonical.print().into(), report);
    let mut violations = outcome.violations;
    for violation in &mut violations {
        // What is missing, or was made up by the importer, stands nowhere in the file: such findings keep the canonical
        // pointer.
        if !violation.span.is_empty() && violation.code != Code::MissingField {
            violation.move_to(source.pointer_at(violation.span.start));
        }
    }
    // One foreign value may have gone into two fields.
    violations.dedup_by(|a, b| (a.code, &a.span, &a.message) == (b.code, &b.span, &b.message));
    Imported {
        form,
        manifest: outcome.manifest,
        violations,
        trees: vec![source, canonical],
    }
}
