//! Plugins: real components in the real host, from a folder to what people see.

mod author;
mod events;
mod hostile;
mod install;
mod languages;
mod values;
