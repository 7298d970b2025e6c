//! The chain as a page, made from the decisions themselves.

use crate::{Ground, Outcome};
use std::fmt::Write as _;

/// What can be decided, in Markdown: for whoever reads a reason in the audit or in an answer.
#[must_use]
pub fn decisions_markdown() -> String {
    let mut out = String::from(
        "The layers are asked in this order, and the first that says something decides: 0 kill switches and the manifest, 1 the plugin's own\n\
         denials, 2 the operator's, 3 grants and consents, 4 the operator's default, 5 the mode.\n\n\
         | layer | reason | outcome | a plugin sees | |\n|--|--|--|--|--|\n",
    );
    for ground in Ground::ALL {
        let decision = crate::Decision::on(ground);
        let outcome = match decision.outcome {
            Outcome::Allow => "allow",
            Outcome::Deny => "deny",
            Outcome::Ask => "ask",
        };
        let seen = decision
            .refusal()
            .map_or(String::new(), |refusal| format!("`{}`", refusal.code()));
        let _ = writeln!(
            out,
            "| {} | {} | {outcome} | {seen} | {} |",
            decision.layer,
            decision.reason(),
            ground.advice()
        );
    }
    out
}
