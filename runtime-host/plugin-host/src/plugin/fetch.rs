//! A plugin's requests to other machines (H11 to H13, H27 to H35).

/// Sends requests for one plugin.
#[derive(Clone)]
pub(crate) struct Fetcher;
