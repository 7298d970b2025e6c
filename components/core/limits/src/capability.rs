//! Capability decisions.

/// Entries of one rule list (a manifest's, a plugin's grants, an operator's lists): a decision walks the rules that
/// have several keys.
pub const RULES_MAX: usize = 10_000;
/// Entries of `PLUGIN_DENY`, and plugins that environment variables disable by name.
pub const ENVIRONMENT_WORDS_MAX: usize = 1_000;
