//! Times as clients write them: milliseconds since 1970, or ISO 8601 text.

use limits::envelope::TIME_CHARS_MAX;

/// Latest accepted time: the end of the year 9999.
const MILLIS_MAX: u64 = 253_402_300_799_999;

/// Whether `raw`, a legal JSON value, can be a time: any number, or a short text.
pub(crate) fn is_time(raw: &str) -> bool {
    match raw.as_bytes().first() {
        Some(b'"') => raw.len() <= TIME_CHARS_MAX + 2,
        Some(b'-' | b'0'..=b'9') => raw.len() <= TIME_CHARS_MAX,
        _ => false,
    }
}

/// `raw`, a legal JSON value, as milliseconds since 1970.
pub(crate) fn millis(raw: &str) -> Option<u64> {
    if !is_time(raw) {
        return None;
    }
    let millis = match raw.strip_prefix('"') {
        Some(text) => iso(text.strip_suffix('"')?)?,
        None => match raw.parse::<u64>() {
            Ok(whole) => whole,
            // A sub-millisecond clock gives fractions; the range check below makes the conversion exact enough.
            Err(_) => Some(raw.parse::<f64>().ok()?)
                .filter(|millis| (0.0..=MILLIS_MAX as f64).contains(millis))?
                as u64,
        },
    };
    (millis <= MILLIS_MAX).then_some(millis)
}

/// `YYYY-MM-DD`, or with `THH:MM[:SS[.fraction]]` and `Z` or `±HH:MM`; a date alone is UTC midnight, as in JavaScript.
fn iso(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        digits(&text[..4])?,
        digits(&text[5..7])?,
        digits(&text[8..10])?,
    );
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let midnight = days_since_1970(year, month, day) * 86_400_000;
    let rest = &text[10..];
    let within_day = if rest.is_empty() {
        0
    } else {
        clock(rest.strip_prefix(['T', 't', ' '])?)?
    };
    u64::try_from(midnight + within_day).ok()
}

/// Milliseconds of `HH:MM[:SS[.fraction]]` less its offset.
fn clock(text: &str) -> Option<i64> {
    let zone_at = text.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = text.split_at(zone_at);
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = whole
        .split(':')
        .map(|part| if part.len() == 2 { digits(part) } else { None });
    let (hours, minutes, seconds) = (
        parts.next()??,
        parts.next()??,
        parts.next().unwrap_or(Some(0))?,
    );
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 60 || fraction.is_empty() {
        return None;
    }
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = digits(&format!("{fraction:0<3}")[..3])?;
    let offset = match zone {
        "Z" | "z" => 0,
        _ => offset_minutes(zone)?,
    };
    Some(((hours * 60 + minutes - offset) * 60 + seconds) * 1_000 + thousandths)
}

/// `±HH:MM` or `±HHMM`.
fn offset_minutes(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').or_else(|| rest.split_at_checked(2))?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar; years count from March, so that a leap day is the last day of its
/// year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn times_are_read_as_javascript_reads_them() {
        for (raw, expected) in [
            ("0", Some(0)),
            ("1777470000000", Some(1_777_470_000_000)),
            ("1777470000000.75", Some(1_777_470_000_000)),
            ("1.5e3", Some(1_500)),
            ("-1", None),
            ("1e300", None),
            ("253402300799999", Some(253_402_300_799_999)),
            ("253402300800000", None),
            (r#""1970-01-01""#, Some(0)),
            (r#""1970-01-01T00:00:00Z""#, Some(0)),
            (r#""2000-02-29T12:34:56.789Z""#, Some(951_827_696_789)),
            (r#""2026-11-21T01:02:03.4+01:30""#, Some(1_795_217_523_400)),
            (r#""2026-11-21T01:02-0500""#, Some(1_795_240_920_000)),
            (r#""2026-11-21T01:02:03""#, None),
            (r#""2026-02-29T00:00:00Z""#, None),
            (r#""2026-13-01""#, None),
            (r#""2026-1-01""#, None),
            (r#""1969-12-31T23:59:59Z""#, None),
            (r#""soon""#, None),
            (r#""2026-11-21T01:02:03Ü""#, None),
            ("true", None),
            ("{}", None),
        ] {
            assert_eq!(millis(raw), expected, "{raw}");
        }
    }
}
