//! Tables on the terminal.

use anyhow::Result;
use comfy_table::{Table, presets};
use serde_json::Value;
use std::io::{self, ErrorKind, Write};

/// Replaces characters that control a terminal or make a text look like another one. The joiner inside emoji stays.
pub(super) fn safe(text: &str) -> String {
    text.replace(
        |letter: char| {
            letter.is_control() || (plugin_manifest::is_hidden(letter) && letter != '\u{200d}')
        },
        "\u{fffd}",
    )
}

/// A value in a table: text as it is, lists joined, nothing for what is missing or empty.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => safe(text),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(members) if members.is_empty() => String::new(),
        other => safe(&other.to_string()),
    }
}

/// Prints one row for each item, or a line if there is none.
pub(super) fn print(
    head: &[&str],
    items: &Value,
    row: impl Fn(&Value) -> Vec<String>,
) -> Result<()> {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return line("nothing to show");
    }
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_header(head.iter().map(|word| word.to_uppercase()));
    for item in items {
        table.add_row(row(item));
    }
    line(&table.trim_fmt())
}

/// Prints a line. If the reader has closed the pipe, the command ends successfully.
pub(super) fn line(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}
