//! The page docs/reference/performance.md: the last full result and how to read it.

use crate::figure::{Figure, HEADINGS};
use std::fmt::Write as _;

const HEAD: &str = "# Performance

Written by `cargo xtask bench`, a full run of which replaces this page; nothing here is edited by hand.

## How to read it

Every ratio compares the subject, the release binary `jackfield`, with a reference that was measured in the same run on the same machine,
the two taking turns: reference, subject, reference, subject. What is compared is processor time of the server's process, all of its threads
together, unless a line says latency or memory. A figure is the median of the ratios of all pairs; the column *measured* holds the medians
behind it. Absolute times belong to one machine at one hour and are of use only beside each other.

- **floor** is the smallest readiness loop that passes envelopes on: one `send` for each delivery, no limits, no checks.
- **seed** is the design that most servers of this kind begin with: Node, npm `ws`, a map, `JSON.parse`, one `JSON.stringify`, a walk over the
  map.
- **jackfield** runs with everything on: identify, joins, the validator component on every envelope, stamping, rate limits. Only the numbers of
  limits are raised by configuration, because one machine plays thousands of users; it has one shard, because it has one processor.

Server and load have a processor each. The load never sleeps, so that no server pays for waking it. Chat envelopes have 200 bytes.

*aim* is what the best known servers reach, *must* what this project does not go below.

";

const FOOT: &str = "
## How to repeat it

```sh
cargo xtask bench --quick              # a look, with two short pairs
cargo xtask bench --case G1,G3         # single cases
cargo xtask bench --json               # for programs
cargo xtask bench                      # a full run; writes this page
```

A run needs Linux, Node with npm, two processors, and an open-file limit above 10,000 (`ulimit -n`). C13 needs a `spin` on the PATH that can
run the components and is left out otherwise.
";

/// The page.
pub(crate) fn write(machine: &str, pairs: usize, figures: &[Figure]) -> String {
    let mut page = HEAD.to_owned();
    let _ = write!(
        page,
        "## The last full run\n\nMachine: {machine}. Pairs: {pairs}.\n\n"
    );
    let _ = writeln!(
        page,
        "| {} |\n|{}",
        HEADINGS.join(" | "),
        "--|".repeat(HEADINGS.len())
    );
    for figure in figures {
        let _ = writeln!(
            page,
            "| {} |",
            figure
                .cells()
                .map(|cell| cell.replace('|', "\\|"))
                .join(" | ")
        );
    }
    page + FOOT
}

#[cfg(test)]
mod tests {
    use crate::figure::{Bound, Figure, Unit};

    #[test]
    fn a_figure_is_a_row() {
        let figure = Figure {
            case: "G1",
            what: "cost / floor".into(),
            value: 1.061,
            unit: Unit::Times,
            aim: Some(Bound::AtMost(1.1)),
            must: None,
            note: "a | b".into(),
        };
        let page = super::write("one machine", 5, &[figure]);
        assert!(
            page.contains("| G1 | cost / floor | 1.06× | ≤ 1.10× | – | aim reached | a \\| b |\n"),
            "{page}"
        );
        assert!(page.contains("Machine: one machine. Pairs: 5."));
    }
}
