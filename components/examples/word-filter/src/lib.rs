//! An example of a custom component: looks at chat messages before the validator does, masks some words and refuses
//! others.
//!
//! [`words`] is the logic and compiles everywhere, so that it can be tested without a host; the component around it
//! exists on WebAssembly only. Change `words.txt` and `refused.txt`, build, and name the file in `jackfield.toml`.

pub mod words;

#[cfg(target_family = "wasm")]
mod component;
