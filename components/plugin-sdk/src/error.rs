//! Errors: a code for programs, a text for people.

pub use crate::bindings::jackfield::plugin::types::ErrorCode;
use crate::bindings::jackfield::plugin::types::PluginError;

/// A result of the host or of the plugin.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done.
pub type Error = PluginError;

impl PluginError {
    /// An error with a code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
        }
    }

    /// An argument breaks a rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// What is named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// The plugin does not support it.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unsupported, message)
    }

    /// The plugin itself failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}

impl From<serde_json::Error> for PluginError {
    fn from(error: serde_json::Error) -> Self {
        Self::invalid(error.to_string())
    }
}
