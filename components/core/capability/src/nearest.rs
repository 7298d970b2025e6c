//! "Did you mean": the closest word of a list, if one is close enough.

use limits::capability::SUGGESTED_BYTES_MAX;

/// The candidate nearest to `word` by edit distance (swapped neighbours count once, case counts half), the first of
/// equals.
///
/// A suggestion differs in at most a third of its letters; beyond that it would confuse.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.len() > SUGGESTED_BYTES_MAX {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            // As many letters as the lengths differ have to change at least; most candidates fall here.
            let allowed = (candidate.len() / 3).clamp(1, 4);
            if word.len().abs_diff(candidate.len()) > allowed + 1 {
                return None;
            }
            let folded = strsim::osa_distance(&lower, &candidate.to_ascii_lowercase());
            let cost = folded
                + if folded <= 2 * allowed {
                    strsim::osa_distance(word, candidate)
                } else {
                    folded
                };
            (cost / 2 <= allowed && cost / 2 < word.len()).then_some((cost, candidate))
        })
        .min_by_key(|(cost, _)| *cost)
        .map(|(_, candidate)| candidate)
}
