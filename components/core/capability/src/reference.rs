//! The reference page of all decisions, made from [`Reason`].

use crate::{Outcome, Reason};
use std::fmt::Write as _;

/// Every reason with its layer, outcome and advice, in Markdown.
#[must_use]
pub fn decisions_markdown() -> String {
    let mut out = String::from(
        "The layers are asked in this order, and the first that applies decides: 0 kill switches and the manifest, 1 the plugin's deny list,\n\
         2 the operator's deny list, 3 grants and consents, 4 the operator's default, 5 the mode.\n\n\
         | layer | reason | outcome | a plugin sees | |\n|--|--|--|--|--|\n",
    );
    for reason in Reason::ALL {
        let decision = crate::Decision::because(reason);
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
            decision.reason.text(),
            reason.advice()
        );
    }
    out
}
