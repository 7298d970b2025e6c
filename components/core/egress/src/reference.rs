//! The rules as a page, made from the tables themselves.

use crate::{Rule, denied_by_default};
use std::fmt::Write as _;

/// The network rules, in Markdown: for whoever reads a rule's name in a log or in an answer.
#[must_use]
pub fn rules_markdown() -> String {
    let mut out = String::from("| rule | |\n|--|--|\n");
    for rule in Rule::ALL {
        let _ = writeln!(out, "| `{rule}` | {} |", rule.says());
    }
    let ports: Vec<String> = (0..=u16::MAX)
        .filter(|port| denied_by_default(*port))
        .map(|port| port.to_string())
        .collect();
    let _ = write!(
        out,
        "\nPorts that are denied unless the operator opens them: {}.\n",
        ports.join(", ")
    );
    out
}
