//! Capability decisions.

/// Entries of one rule list (a manifest's, a plugin's grants, an operator's lists): a decision walks the rules that
/// have several keys.
pub const RULES_MAX: usize = 10_000;
/// Entries of `PLUGIN_DENY`, and plugins that environment variables disable by name.
pub const ENVIRONMENT_WORDS_MAX: usize = 1_000;
/// Bytes of a word for which a similar one is suggested: comparing costs the product of the lengths.
pub const SUGGESTED_BYTES_MAX: usize = 64;
