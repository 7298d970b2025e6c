//! Reference pages made from the source of the crates that hold tables as constants: the doc comment is the reason, the constant the value.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt::Write as _};

/// A `pub const` with its doc comment.
struct Constant {
    module: String,
    name: String,
    kind: String,
    value: String,
    doc: String,
}

/// A row of `limits.toml`: what becomes of a limit when it is reached.
#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Word(At),
    Table {
        at: At,
        setting: Option<String>,
        counter: Option<String>,
    },
}

/// What a limit refuses.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum At {
    Connection,
    Envelope,
    Request,
    Guest,
    Component,
    File,
    Inner,
}

impl At {
    /// The word, and the measurement that counts it unless the row names another one.
    fn shown(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Connection => ("connection", Some("connections_closed")),
            Self::Envelope => ("envelope", Some("envelopes_refused")),
            Self::Request => ("request", Some("http_responses")),
            Self::Guest => ("guest", Some("plugin_refusals")),
            Self::Component => ("component", Some("http_responses")),
            Self::File => ("file", None),
            Self::Inner => ("", None),
        }
    }
}

impl Row {
    /// Its cells: the setting, and what is refused with its measurement.
    fn cells(&self) -> (String, String) {
        let (at, setting, counter) = match self {
            Self::Word(at) => (at, None, None),
            Self::Table {
                at,
                setting,
                counter,
            } => (at, setting.as_deref(), counter.as_deref()),
        };
        let (word, usual) = at.shown();
        let code = |text: &str| format!("`{text}`");
        let counter = counter.or(usual).map(code);
        let refused = match (word, counter) {
            (word, Some(counter)) if !word.is_empty() => format!("{word}, {counter}"),
            (word, counter) => counter.unwrap_or_else(|| word.to_owned()),
        };
        (setting.map(code).unwrap_or_default(), refused)
    }
}

type Rows = BTreeMap<String, BTreeMap<String, Row>>;

/// The page of all limits: what the library itself holds, then each of its files by its name; `rows` is `limits.toml`.
///
/// # Errors
/// A constant has no row, or a row no constant.
pub(crate) fn limits(library: &str, files: &[(String, String)], rows: &str) -> Result<String> {
    let mut rows: Rows = toml::from_str(rows).context("limits.toml")?;
    let mut out = String::from(
        "# Limits\n\n<!-- Generated from components/core/limits by `cargo xtask gen`; do not edit. -->\n\n\
         Every number of the system with its reason. Where a setting is named, it is the default of that key of the configuration\n\
         ([config.toml](config.toml)). `/limits` answers the settings in force. `KIB` is 1024 bytes, `MIB` 1024 of those.\n\n\
         The last column but one says what is refused or ended when the limit is reached, and the measurement in `/metrics` that counts it\n\
         (`jackfield_` before it, `_total` after it): a connection, an envelope, an HTTP request, a call of a plugin (guest), a call of one\n\
         of the host's own components, or a file (manifest, component, configuration) where it is read. Where it is empty nothing is\n\
         refused: it is a size, a pause or a memory of the host's own.\n",
    );
    let mut module = None;
    let of_files = files.iter().flat_map(|(name, source)| {
        constants(source).into_iter().map(|constant| Constant {
            module: name.clone(),
            ..constant
        })
    });
    for constant in constants(library).into_iter().chain(of_files) {
        if constant.module.is_empty() {
            continue;
        }
        if module.as_ref() != Some(&constant.module) {
            let _ = write!(
                out,
                "\n## {}\n\n| limit | value | setting | refused | |\n|---|---|---|---|---|\n",
                constant.module
            );
            module = Some(constant.module.clone());
        }
        let of_module = rows.get_mut(&constant.module);
        let Some(row) = of_module.and_then(|rows| rows.remove(&constant.name)) else {
            let Constant { module, name, .. } = constant;
            bail!("limits.toml has no row for {module}::{name}");
        };
        let (setting, refused) = row.cells();
        let _ = writeln!(
            out,
            "| `{}` | {} | {setting} | {refused} | {} |",
            constant.name,
            value(&constant.value),
            constant.doc
        );
    }
    if module.is_none() {
        bail!("the limits crate shows no constants");
    }
    let left = rows.iter().find_map(|(module, rows)| {
        let name = rows.keys().next()?;
        Some(format!("{module}::{name}"))
    });
    match left {
        Some(name) => bail!("limits.toml has a row for {name}, which does not exist"),
        None => Ok(out),
    }
}

/// The page of what plugins are refused, and why.
pub(crate) fn refusals(decisions: &str, rules: &str) -> String {
    format!(
        "# Why a plugin was refused\n\n<!-- Generated from components/core/{{capability,egress}} by `cargo xtask gen`; do not edit. -->\n\n\
         Every refusal names its ground: in the answer that the plugin gets, in the audit (`jackfield plugin audit`) and, where a network rule\n\
         was broken, in the log.\n\n## Capabilities\n\n{decisions}\n## Network rules\n\n\
         A request to another machine passes these as well, on the URL, on every address that its name has, and again for every redirect. The\n\
         plugin sees `denied`, or `invalid-argument` where the text is at fault. Private hosts and networks are opened in the configuration.\n\n{rules}"
    )
}

/// The page of refusals over the socket.
pub(crate) fn errors(source: &str, frames: &str) -> Result<String> {
    let codes: Vec<Constant> = constants(source)
        .into_iter()
        .filter(|constant| constant.module == "code" && constant.kind == "&str")
        .collect();
    if codes.is_empty() {
        bail!("the envelope crate shows no codes");
    }
    let mut out = String::from(
        "# Refusals over the socket\n\n<!-- Generated from components/core/envelope by `cargo xtask gen`; do not edit. -->\n\n\
         A refused envelope costs nothing but itself: the connection stays open. `error` and `plugin_error` carry one of these codes,\n\
         a `message` that names the member and the limit, and the envelope's `requestId`. The checks have a fixed order and the first failure\n\
         decides. An operator's own components may add codes. Failed joins and views are told by `access_denied`.\n\n\
         | code | when |\n|---|---|\n",
    );
    for code in codes {
        let _ = writeln!(out, "| `{}` | {} |", code.value.trim_matches('"'), code.doc);
    }
    out.push_str(&close_codes(frames)?);
    Ok(out)
}

/// The table of close codes: when, and what a client does then.
fn close_codes(source: &str) -> Result<String> {
    let mut out = String::from(
        "\n## Close codes\n\nWhat ends a whole connection. A client that comes back joins its servers again and gets their present state. Who comes back at once\n\
         after each end is held off by the handshakes that one address may make (`socket.handshakes_per_address`).\n\n\
         | code | when | retry or stop |\n|---|---|---|\n",
    );
    let codes: Vec<Constant> = constants(source)
        .into_iter()
        .filter(|constant| constant.module == "close" && constant.kind == "u16")
        .collect();
    if codes.is_empty() {
        bail!("the gateway shows no close codes");
    }
    for code in codes {
        let at = ["Retry", "Stop"]
            .iter()
            .filter_map(|word| code.doc.rfind(*word))
            .max();
        let Some(at) = at else {
            bail!("the close code {} says neither Retry nor Stop", code.name)
        };
        let (when, then) = code.doc.split_at(at);
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            code.value,
            when.trim(),
            then.trim()
        );
    }
    Ok(out)
}

/// Every public constant in order of appearance. Knows the shape that rustfmt gives these files, and nothing more.
fn constants(source: &str) -> Vec<Constant> {
    let (mut found, mut module, mut doc) = (Vec::new(), String::new(), String::new());
    for line in source.lines() {
        let text = line.trim();
        if let Some(sentence) = text.strip_prefix("///") {
            if !doc.is_empty() {
                doc.push(' ');
            }
            doc.push_str(sentence.trim());
        } else if let Some(name) = text
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            module = name.to_owned();
            doc.clear();
        } else if line == "}" {
            module.clear();
        } else if let Some((name, rest)) = text
            .strip_prefix("pub const ")
            .and_then(|rest| rest.split_once(": "))
        {
            if let Some((kind, value)) = rest.split_once(" = ") {
                found.push(Constant {
                    module: module.clone(),
                    name: name.to_owned(),
                    kind: kind.to_owned(),
                    value: value.trim_end_matches(';').to_owned(),
                    doc: std::mem::take(&mut doc)
                        .replace('|', "\\|")
                        .replace("[`", "`")
                        .replace("`]", "`"),
                });
            }
        } else {
            doc.clear();
        }
    }
    found
}

/// A constant's expression as people write it.
fn value(expression: &str) -> String {
    match expression
        .strip_prefix("Rate { per_second: ")
        .and_then(|rest| rest.strip_suffix(" }"))
        .and_then(|rest| rest.split_once(", burst: "))
    {
        Some((per_second, burst)) => format!("{per_second} a second, {burst} at once"),
        None if expression == "MIB" => "1 × MIB".into(),
        None => expression.replace('*', "×").replace("super::", ""),
    }
}
