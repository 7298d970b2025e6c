//! The reference page of states and transitions, made from [`TRANSITIONS`].

use crate::{Event, State, TRANSITIONS, backoff_ms};
use limits::lifecycle::{CRASHES_IN_A_ROW_MAX, HEALTHY_AFTER_MS};
use std::fmt::Write as _;

/// The reference page, in Markdown.
#[must_use]
pub fn lifecycle_markdown() -> String {
    let mut out = String::from(
        "# Plugin lifecycle\n\n<!-- Generated from components/core/plugin-lifecycle by `cargo xtask gen`; do not edit. -->\n\n\
         `GET /api/plugins/:id` shows the state with `enabled`, `running` and `health`; states that matter\n\
         later (`started`, `crashed`, ...) become rows of the plugin's events.\n\n\
         | state | meaning |\n|--|--|\n",
    );
    for state in State::ALL {
        let _ = writeln!(out, "| `{state}` | {} |", state.description());
    }
    out.push_str("\n| event | meaning |\n|--|--|\n");
    for event in Event::ALL {
        let _ = writeln!(out, "| `{event}` | {} |", event.description());
    }
    out.push_str("\nOnly these transitions exist:\n\n| from | event | to |\n|--|--|--|\n");
    for (from, event, to) in TRANSITIONS {
        let _ = writeln!(out, "| `{from}` | `{event}` | `{to}` |");
    }
    let waits: Vec<String> = (1..CRASHES_IN_A_ROW_MAX)
        .map(|attempt| (backoff_ms(attempt) / 1_000).to_string())
        .collect();
    let _ = write!(
        out,
        "\n## Supervision\n\nAfter a crash the plugin is started again after {} seconds. The {CRASHES_IN_A_ROW_MAX}th crash in a row disables the plugin with the reason\n\
         `max_restarts_exceeded`; that is after {} restarts. {} seconds without a crash, new files or enabling it reset the counter.\n\n\
         An update that does not start is tried again after the same waits and as often, while the version before it serves. Each failure is an\n\
         event `update_failed`; the last one is followed by `update_abandoned`, until the files change or the plugin is reloaded.\n",
        waits.join(", "),
        CRASHES_IN_A_ROW_MAX - 1,
        HEALTHY_AFTER_MS / 1_000,
    );
    out
}
