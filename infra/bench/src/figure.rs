//! A figure: what was measured, and what it is measured against.

use serde_json::{Value, json};
use std::fmt;

/// A limit of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A ratio of two measurements of one run.
    Times,
    /// Bytes.
    Bytes,
    /// Nanoseconds, shown as what is easiest to read.
    Nanoseconds,
    /// Parts of a hundred.
    Percent,
}

impl Unit {
    /// A value with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Times => format!("{value:.2}×"),
            Self::Bytes if value.abs() >= 1_048_576.0 => format!("{:.1} MiB", value / 1_048_576.0),
            Self::Bytes => format!("{value:.0} B"),
            Self::Nanoseconds if value >= 1e6 => format!("{:.2} ms", value / 1e6),
            Self::Nanoseconds if value >= 1e3 => format!("{:.2} µs", value / 1e3),
            Self::Nanoseconds => format!("{value:.0} ns"),
            Self::Percent => format!("{value:.0} %"),
        }
    }
}

/// One line of the result.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// The case: `G1`.
    pub case: &'static str,
    /// What was measured, and in ratios against what.
    pub what: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// What the best reach.
    pub aim: Option<Bound>,
    /// What has to be reached.
    pub must: Option<Bound>,
    /// The measurements behind a ratio, and anything that qualifies it.
    pub note: String,
}

/// How a figure stands against its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The aim is reached.
    Aim,
    /// What must be reached is, the aim is not.
    Must,
    /// The aim is missed; nothing must be reached here.
    Short,
    /// What must be reached is not.
    Missed,
    /// Nothing to compare with.
    None,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Aim => "aim reached",
            Self::Must => "must reached",
            Self::Short => "short of the aim",
            Self::Missed => "MISSED",
            Self::None => "–",
        }
    }
}

impl Figure {
    /// How it stands.
    pub(crate) fn verdict(&self) -> Verdict {
        let holds = |bound: Option<Bound>| bound.map(|bound| bound.holds(self.value));
        match (holds(self.must), holds(self.aim)) {
            (Some(false), _) => Verdict::Missed,
            (_, Some(true)) => Verdict::Aim,
            (Some(true), _) => Verdict::Must,
            (None, Some(false)) => Verdict::Short,
            (None, None) => Verdict::None,
        }
    }

    fn bound(&self, bound: Option<Bound>) -> String {
        match bound {
            Some(Bound::AtMost(most)) => format!("≤ {}", self.unit.show(most)),
            Some(Bound::AtLeast(least)) => format!("≥ {}", self.unit.show(least)),
            None => "–".into(),
        }
    }

    /// The cells of a table's row.
    pub(crate) fn cells(&self) -> [String; 7] {
        [
            self.case.to_owned(),
            self.what.clone(),
            self.unit.show(self.value),
            self.bound(self.aim),
            self.bound(self.must),
            self.verdict().name().to_owned(),
            self.note.clone(),
        ]
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let bound = |bound: Option<Bound>| match bound {
            Some(Bound::AtMost(most)) => json!({"atMost": most}),
            Some(Bound::AtLeast(least)) => json!({"atLeast": least}),
            None => Value::Null,
        };
        let unit = match self.unit {
            Unit::Times => "ratio",
            Unit::Bytes => "bytes",
            Unit::Nanoseconds => "nanoseconds",
            Unit::Percent => "percent",
        };
        json!({
            "case": self.case, "what": self.what, "value": self.value, "unit": unit, "aim": bound(self.aim), "must": bound(self.must),
            "verdict": self.verdict().name(), "note": self.note,
        })
    }
}

/// The headings of [`Figure::cells`].
pub(crate) const HEADINGS: [&str; 7] = [
    "case", "figure", "value", "aim", "must", "verdict", "measured",
];

/// A table for a terminal.
pub(crate) struct Table<'a>(pub &'a [Figure]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 7]> = std::iter::once(HEADINGS.map(str::to_owned))
            .chain(self.0.iter().map(Figure::cells))
            .collect();
        let width = |column: usize| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        for row in &rows {
            for (column, cell) in row.iter().enumerate() {
                let pad = if column + 1 == row.len() {
                    0
                } else {
                    width(column) + 2 - cell.chars().count()
                };
                write!(out, "{cell}{:pad$}", "")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// The middle of some values; of an even number the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// The median of the ratios of pairs that were measured one after the other.
pub(crate) fn paired_ratio(subject: &[f64], reference: &[f64]) -> f64 {
    let ratios: Vec<f64> = subject
        .iter()
        .zip(reference)
        .map(|(subject, reference)| subject / reference)
        .collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::{Bound, Figure, Unit, Verdict, median, paired_ratio};

    #[test]
    fn medians_and_paired_ratios() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        // Drift between the pairs cancels out; the ratio of medians would say 1.0.
        assert_eq!(paired_ratio(&[1.0, 10.0, 2.0], &[2.0, 20.0, 4.0]), 0.5);
    }

    #[test]
    fn verdicts() {
        let figure = |value, aim, must| Figure {
            case: "G0",
            what: String::new(),
            value,
            unit: Unit::Times,
            aim,
            must,
            note: String::new(),
        };
        let (aim, must) = (Some(Bound::AtMost(1.0)), Some(Bound::AtMost(2.0)));
        assert_eq!(figure(1.0, aim, must).verdict(), Verdict::Aim);
        assert_eq!(figure(1.5, aim, must).verdict(), Verdict::Must);
        assert_eq!(figure(2.5, aim, must).verdict(), Verdict::Missed);
        assert_eq!(figure(1.5, aim, None).verdict(), Verdict::Short);
        assert_eq!(figure(1.5, None, must).verdict(), Verdict::Must);
        assert_eq!(figure(1.5, None, None).verdict(), Verdict::None);
        assert_eq!(
            figure(0.9, Some(Bound::AtLeast(1.3)), Some(Bound::AtLeast(1.0))).verdict(),
            Verdict::Missed
        );
        assert_eq!(
            figure(f64::NAN, aim, must).verdict(),
            Verdict::Missed,
            "what was not measured was not reached"
        );
    }
}
