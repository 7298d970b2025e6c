//! The documents, as the build script made them.

use rest::Document;

// `DOCUMENTS`: every document by its path, in the order of paths.
include!(concat!(env!("OUT_DIR"), "/documents.rs"));

/// The document at a path; a slash at its end is ignored.
pub(crate) fn find(path: &str) -> Option<&'static Document> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let at = DOCUMENTS
        .binary_search_by(|(known, _)| (*known).cmp(path))
        .ok()?;
    Some(&DOCUMENTS[at].1)
}
