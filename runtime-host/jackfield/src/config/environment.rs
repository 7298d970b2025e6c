//! Settings from environment variables: `JACKFIELD_<TABLE>__<KEY>` sets one key, such as `JACKFIELD_SOCKET__CONNECTIONS_MAX=5000`.

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

const PREFIX: &str = "JACKFIELD_";
/// Separates a table from what is in it.
const SEPARATOR: &str = "__";

/// Applies the variables that name a key; others are not settings.
///
/// # Errors
/// A variable names a key inside a value that is not a table; the text names the variable.
pub(super) fn apply(table: &mut Table, variables: &[(String, String)]) -> Result<()> {
    for (name, value) in variables {
        let path = name.strip_prefix(PREFIX);
        if let Some(path) = path.filter(|path| path.contains(SEPARATOR)) {
            set(table, &path.to_ascii_lowercase(), value)
                .with_context(|| format!("environment variable {name}"))?;
        }
    }
    Ok(())
}

/// Sets the key at `path`, such as `socket__shards`. The value is TOML if it parses as such, else text.
fn set(table: &mut Table, path: &str, value: &str) -> Result<()> {
    let parsed = format!("value = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.split(SEPARATOR).collect();
    let last = keys.pop().unwrap_or_default();
    let mut at = table;
    for key in keys {
        at = match at.entry(key).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => inner,
            _ => bail!("'{key}' is not a table"),
        };
    }
    at.insert(last.to_owned(), value);
    Ok(())
}
