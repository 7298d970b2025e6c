//! What a token says about its bearer, and how far a host believes names without one.

use identifiers::UserId;
use serde::{Deserialize, Serialize};

/// What the bearer may do beyond owning an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Operator of the host: everything, on every server.
    Admin,
    /// Any other user. A role that a foreign issuer writes and that is unknown here counts as this one.
    #[default]
    Client,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the identity, `oderId` on the wire.
    pub user_id: UserId,
    /// `role`.
    pub role: Role,
    /// `exp`: seconds since 1970.
    pub expires_at_s: u64,
}

/// The identity mode of a host: which claimed names are believed without proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every claimed name is believed.
    Open,
    /// A name with something to lose needs proof: an owner's, a role holder's, a locked one.
    #[default]
    Claimed,
    /// Every name needs proof.
    Required,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Open, Self::Claimed, Self::Required];

    /// The word in configuration and variables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Required => "required",
        }
    }

    /// Reads what [`Mode::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}
