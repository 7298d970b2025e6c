//! Deciding about capabilities.

/// Entries of one list of rules (a manifest's, a plugin's grants, an operator's lists): deciding walks what is narrowed by several keys.
pub const RULES_MAX: usize = 10_000;
/// Words of `PLUGIN_DENY`, and plugins that are killed by name through the environment.
pub const ENVIRONMENT_WORDS_MAX: usize = 1_000;
