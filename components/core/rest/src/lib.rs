//! The REST toolkit: what every HTTP interface of this project shares, from percent-decoding to the OpenAPI document.
//!
//! It works on values of the `http` crate and does no I/O. A shell reads the request, asks these functions, and writes
//! the [`Answer`]; so the edge components and the native host answer alike.
#![forbid(unsafe_code)]

mod answer;
mod body;
pub mod cors;
mod document;
mod error;
pub mod etag;
mod headers;
pub mod openapi;
pub mod origin;
mod path;
pub mod query;
mod route;

pub use answer::{Answer, page};
pub use body::{BodyError, BodyReader, is_json};
#[cfg(feature = "compress")]
pub use document::Compressed;
pub use document::Document;
pub use error::{Error, ErrorBody, ErrorCode, HostCode, HostError, Violation};
pub use headers::{Credential, bearer, credential};
pub use path::{InvalidPath, segments};
pub use route::{Endpoint, Found, NoRoute, Routes};
