//! The documents about envelopes, answered by the host itself: they describe what this gateway speaks, and a component would be asked for
//! nothing but bytes that never change.

use rest::{Compressed, Document};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

/// A document, and its forms once it was asked for.
struct Entry {
    text: Value,
    forms: OnceLock<Document>,
}

static DOCUMENTS: LazyLock<BTreeMap<String, Entry>> = LazyLock::new(|| {
    let entry = |text| Entry {
        text,
        forms: OnceLock::new(),
    };
    envelope_docs::documents()
        .into_iter()
        .map(|(path, text)| (path, entry(text)))
        .collect()
});

/// The document at a path; a slash at its end is ignored.
pub(crate) fn find(path: &str) -> Option<&'static Document> {
    let entry = DOCUMENTS.get(path.strip_suffix('/').unwrap_or(path))?;
    let forms = entry
        .forms
        .get_or_init(|| Compressed::new(&entry.text).leak());
    Some(forms)
}
