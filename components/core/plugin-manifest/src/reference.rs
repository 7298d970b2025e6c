//! The manifest's reference page, made from the tables. Generated files are never edited.

use crate::{
    choices::Form,
    import,
    shape::{Record, Shape},
    tables,
    violation::{Code, Severity},
};
use capability::{Source, VOCABULARY};
use limits::manifest::{BYTES_MAX, DEPTH_MAX, LIST_ENTRIES_MAX, VIOLATIONS_MAX};
use std::fmt::Write as _;

/// The page as Markdown.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Manifest reference\n\n<!-- Generated from components/core/plugin-manifest; edit the tables there. -->\n\n\
         A plugin is described by one file in its folder. `jackfield check <folder>` reads it and names everything that is wrong.\n\n",
    );
    let _ = writeln!(
        page,
        "A manifest has at most {BYTES_MAX} bytes, {DEPTH_MAX} levels and {LIST_ENTRIES_MAX} entries in a list. No object may name a key twice. \
         Unknown fields are kept and warned about (`--strict` refuses them); fields that start with `x-` are free for own use.\n"
    );
    files(&mut page);
    let mut pending = vec![&tables::MANIFEST];
    let mut shown: Vec<&str> = vec![tables::MANIFEST.name];
    while let Some(record) = pending.pop() {
        section(&mut page, record);
        let inner = record
            .fields
            .iter()
            .rev()
            .filter_map(|field| record_of(&field.shape));
        for inner in inner {
            if !shown.contains(&inner.name) {
                shown.push(inner.name);
                pending.push(inner);
            }
        }
    }
    capabilities(&mut page);
    codes(&mut page);
    page
}

fn files(page: &mut String) {
    page.push_str("## Files\n\nThe first of these that is in the folder is read. Forms of other systems are converted to the canonical one.\n\n| file | form |\n|---|---|\n");
    for name in import::LOOKUP_ORDER {
        let form = import::form_of_file(name).unwrap_or(Form::Jackfield);
        let _ = writeln!(page, "| `{name}` | {form} |");
    }
    page.push('\n');
}

fn section(page: &mut String, record: &Record) {
    let _ = writeln!(
        page,
        "## `{}`\n\n{}\n\n| field | value | required | meaning |\n|---|---|---|---|",
        record.name, record.about
    );
    for field in record.fields {
        let group = record
            .spellings
            .iter()
            .find(|spellings| spellings.required && spellings.names.contains(&field.name));
        let required = match group {
            _ if field.required => "yes".to_owned(),
            Some(group) => format!(
                "one of {}",
                group
                    .names
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            None => String::new(),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {required} | {} |",
            field.name,
            words(&field.shape),
            field.meaning
        );
    }
    page.push('\n');
}

fn words(shape: &Shape) -> String {
    match shape {
        Shape::Any => "anything".to_owned(),
        Shape::Object => "object".to_owned(),
        Shape::One => "`1`".to_owned(),
        Shape::Bool => "boolean".to_owned(),
        Shape::Number => "number".to_owned(),
        Shape::Integer { min, max } => format!("whole number, {min} to {max}"),
        Shape::Text { min: 0, max } => format!("text, at most {max} characters"),
        Shape::Text { min, max } => format!("text, {min} to {max} characters"),
        Shape::Format(format) => format.words().to_owned(),
        Shape::Choice(names) => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Shape::Schema => "JSON Schema, or one as text".to_owned(),
        Shape::List(item) => format!("list of: {}", words(item)),
        Shape::Map(key, value) => format!(
            "map from {} to: {}",
            key.map_or("name", crate::format::Format::words),
            words(value)
        ),
        Shape::Record(record) => format!("[`{0}`](#{1})", record.name, record.name.to_lowercase()),
        Shape::Setting => words(&Shape::Record(&tables::SETTING)),
        Shape::Settings => words(&Shape::Map(None, &Shape::Setting)),
        Shape::TextOr(short, full) => format!("{} or {}", words(short), words(full)),
    }
}

fn record_of(shape: &Shape) -> Option<&'static Record> {
    match shape {
        Shape::Record(record) => Some(record),
        Shape::List(inner) | Shape::Map(_, inner) | Shape::TextOr(_, inner) => record_of(inner),
        Shape::Setting | Shape::Settings => Some(&tables::SETTING),
        _ => None,
    }
}

fn capabilities(page: &mut String) {
    page.push_str(
        "## Capabilities\n\nThere are no wildcards, and an id that is not listed is refused. Only what is declared can be granted; nothing is granted by declaring it.\n\n",
    );
    for (source, title) in [
        (Source::Client, "The client's ids"),
        (Source::Host, "The host's ids"),
    ] {
        let _ = writeln!(
            page,
            "### {title}\n\n| id | lets a plugin | scope keys |\n|---|---|---|"
        );
        for entry in VOCABULARY.iter().filter(|entry| entry.source == source) {
            let scope = entry
                .scope
                .iter()
                .map(|key| format!("`{key}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let always = if entry.always {
                " (always allowed)"
            } else {
                ""
            };
            let _ = writeln!(
                page,
                "| `{}` | {}{always} | {scope} |",
                entry.name, entry.summary
            );
        }
        page.push('\n');
    }
}

fn codes(page: &mut String) {
    let _ = writeln!(
        page,
        "## Codes\n\nAt most {VIOLATIONS_MAX} violations are listed for one manifest.\n\n| code | severity | meaning |\n|---|---|---|"
    );
    for code in Code::ALL {
        let severity = if code.severity() == Severity::Error {
            "error"
        } else {
            "warning"
        };
        let _ = writeln!(page, "| `{code}` | {severity} | {} |", code.meaning());
    }
}
