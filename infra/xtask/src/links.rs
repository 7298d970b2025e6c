//! Links between documents: each relative one leads to a file that is there, and to a heading that stands in it.

use anyhow::{Result, bail};
use std::{collections::BTreeSet, fs, path::Path};

/// Fails with every broken link of the Markdown files among `files`.
pub(crate) fn check(files: &[String]) -> Result<()> {
    let mut broken = Vec::new();
    for path in files.iter().filter(|path| path.ends_with(".md")) {
        let text = fs::read_to_string(path)?;
        for target in targets(&text) {
            if let Some(why) = fault(Path::new(path), target)? {
                broken.push(format!("{path}: {target}: {why}"));
            }
        }
    }
    if !broken.is_empty() {
        bail!("broken links:\n{}", broken.join("\n"));
    }
    Ok(())
}

/// What stands in the parentheses of `[text](target)`, outside code.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let links = line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split_once(')'));
            found.extend(
                links
                    .map(|(target, _)| target)
                    .filter(|target| !target.contains(char::is_whitespace)),
            );
        }
    }
    found
}

fn fault(from: &Path, target: &str) -> Result<Option<&'static str>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        from.to_owned()
    } else {
        from.parent().unwrap_or(Path::new("")).join(file)
    };
    if !path.exists() {
        return Ok(Some("no such file"));
    }
    if anchor.is_empty() || path.extension().is_none_or(|extension| extension != "md") {
        return Ok(None);
    }
    let found = headings(&fs::read_to_string(&path)?).contains(anchor);
    Ok((!found).then_some("no such heading"))
}

/// The anchors that forges make of headings.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    titles
        .map(|title| {
            let kept = title
                .chars()
                .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
            kept.flat_map(char::to_lowercase)
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}
