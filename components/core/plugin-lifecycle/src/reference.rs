//! The page of states and transitions, made from the table itself.

use crate::{Event, State, TRANSITIONS, backoff_ms};
use limits::lifecycle::{CRASHES_IN_A_ROW_MAX, HEALTHY_AFTER_MS};
use std::fmt::Write as _;

/// The reference page, in Markdown.
#[must_use]
pub fn lifecycle_markdown() -> String {
    let mut out = String::from(
        "# The life of a plugin\n\n<!-- Generated from components/core/plugin-lifecycle by `cargo xtask gen`; do not edit. -->\n\n\
         `GET /api/plugins/:id` shows the state with `enabled`, `running` and `health`; every transition is told to whoever watches, and what\n\
         people search for later (`started`, `crashed`, ...) becomes a row of the plugin's events.\n\n\
         | state | meaning |\n|--|--|\n",
    );
    for state in State::ALL {
        let _ = writeln!(out, "| `{state}` | {} |", state.says());
    }
    out.push_str("\n| event | meaning |\n|--|--|\n");
    for event in Event::ALL {
        let _ = writeln!(out, "| `{event}` | {} |", event.says());
    }
    out.push_str(
        "\nWhat is not in this table does not happen:\n\n| from | event | to |\n|--|--|--|\n",
    );
    for (from, event, to) in TRANSITIONS {
        let _ = writeln!(out, "| `{from}` | `{event}` | `{to}` |");
    }
    let waits: Vec<String> = (1..CRASHES_IN_A_ROW_MAX)
        .map(|attempt| (backoff_ms(attempt) / 1_000).to_string())
        .collect();
    let _ = write!(
        out,
        "\n## Supervision\n\nWhat crashes is started again after {} seconds. The {CRASHES_IN_A_ROW_MAX}th crash in a row disables the plugin with the reason\n\
         `max_restarts_exceeded`; that is after {} restarts. {} seconds of health, new files or enabling it end the row.\n",
        waits.join(", "),
        CRASHES_IN_A_ROW_MAX - 1,
        HEALTHY_AFTER_MS / 1_000,
    );
    out
}
