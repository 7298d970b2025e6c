//! Growth of memory: least squares over samples.

/// The slope of the best fitting line, in units of the second member per unit of the first; `None`
/// for fewer than three samples.
#[must_use]
pub fn slope(samples: &[(f64, f64)]) -> Option<f64> {
    if samples.len() < 3 {
        return None;
    }
    let count = samples.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let spread: f64 = samples.iter().map(|sample| (sample.0 - x).powi(2)).sum();
    let together: f64 = samples
        .iter()
        .map(|sample| (sample.0 - x) * (sample.1 - y))
        .sum();
    (spread > 0.0).then(|| together / spread)
}

/// The samples after the first fifth, in which memory always grows.
#[must_use]
pub fn after_warm_up(samples: &[(f64, f64)]) -> &[(f64, f64)] {
    let end = samples.last().map_or(0.0, |sample| sample.0);
    let first = samples.partition_point(|sample| sample.0 < end / 5.0);
    &samples[first..]
}

#[cfg(test)]
mod tests {
    use super::{after_warm_up, slope};

    #[test]
    fn the_slope_of_a_line_and_of_a_noisy_leak_is_found() {
        let line: Vec<_> = (0..20)
            .map(|at| (f64::from(at), 7.0 + 3.0 * f64::from(at)))
            .collect();
        assert!((slope(&line).expect("enough") - 3.0).abs() < 1e-9);
        let noisy: Vec<_> = line
            .iter()
            .enumerate()
            .map(|(at, (x, y))| (*x, y + if at % 2 == 0 { 5.0 } else { -5.0 }))
            .collect();
        assert!((slope(&noisy).expect("enough") - 3.0).abs() < 0.3);
        assert_eq!(slope(&line[..2]), None);
        assert_eq!(after_warm_up(&line)[0].0, 4.0);
    }
}
