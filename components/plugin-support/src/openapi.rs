//! The OpenAPI document of this component's routes, as `build.rs` prepared it.

use rest::Document;

/// The document.
pub(crate) static DOCUMENT: Document = Document::from_static(
    include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json")),
    include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz")),
    include_str!(concat!(env!("OUT_DIR"), "/openapi.json.digest")),
);
