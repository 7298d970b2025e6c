//! Plugins: real components in the real host, from a folder to what people see.

mod author;
mod compiling;
mod crashes;
mod events;
mod guests;
mod hostile;
mod install;
mod kills;
mod languages;
mod manifests;
mod values;
