//! The reference page of the network rules, made from [`Rule`].

use crate::{Rule, denied_by_default};
use std::fmt::Write as _;

/// The network rules and the denied ports, in Markdown.
#[must_use]
pub fn rules_markdown() -> String {
    let mut out = String::from("| rule | |\n|--|--|\n");
    for rule in Rule::ALL {
        let _ = writeln!(out, "| `{rule}` | {} |", rule.description());
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
