//! Plugins: real components in the real host.

mod author;
mod authority;
mod compiling;
mod crashes;
mod events;
mod examples;
mod guests;
mod hostile;
mod install;
mod kills;
mod languages;
mod manifests;
mod values;
