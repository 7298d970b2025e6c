//! Plugins: real components in the real host, from a folder to what people see.

mod events;
mod hostile;
mod install;
mod values;
