//! The handlers of the routes.

pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod check;
pub(crate) mod consents;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod kv;
pub(crate) mod logs;
pub(crate) mod plugins;
pub(crate) mod settings;
pub(crate) mod token;
