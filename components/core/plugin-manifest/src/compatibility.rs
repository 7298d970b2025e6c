//! Whether a host can run a plugin: a verdict with its reasons.
//!
//! An incompatible plugin is `blocked` by its host. Pre-releases are compared by precedence (Semantic Versioning
//! 2.0.0), so 1.0.0-rc.1 is below a minimum of 1.0.0; build metadata is ignored.

use crate::{Manifest, VersionRange};
use semver::Version;
use serde::Serialize;
use std::fmt;

/// One reason why a host cannot run a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Incompatibility {
    /// The host's API is not in the range of `apiVersion`.
    ApiVersion {
        /// What the plugin wants.
        wanted: String,
        /// What the host has.
        found: Version,
    },
    /// The host is below the minimum or above the maximum.
    IncompatibleHost {
        /// The bound that is passed, such as `>=2.0.0`.
        wanted: String,
        /// The host's version.
        found: Version,
    },
}

impl Incompatibility {
    /// The stable reason code of the state `blocked`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ApiVersion { .. } => "api_version",
            Self::IncompatibleHost { .. } => "incompatible_host",
        }
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiVersion { wanted, found } => {
                write!(f, "wants host API {wanted}, the host has {found}")
            }
            Self::IncompatibleHost { wanted, found } => {
                write!(f, "wants a host {wanted}, this is {found}")
            }
        }
    }
}

/// The verdict on one plugin and one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Why the host cannot run it; empty when it can.
    pub reasons: Vec<Incompatibility>,
    /// The verified version, when the host is above it: a warning only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_up_to: Option<Version>,
}

impl Verdict {
    /// Whether the host can run the plugin.
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Judges `manifest` for a host of version `host` with the API `api`.
#[must_use]
pub fn compatibility(manifest: &Manifest, host: &Version, api: &Version) -> Verdict {
    let mut verdict = Verdict::default();
    let wanted = &manifest.api_version;
    if !VersionRange::from_api_version(wanted).is_ok_and(|range| range.contains(api)) {
        verdict.reasons.push(Incompatibility::ApiVersion {
            wanted: wanted.clone(),
            found: api.clone(),
        });
    }
    let bounds = &manifest.compatibility;
    let mut refuse = |wanted: String| {
        verdict.reasons.push(Incompatibility::IncompatibleHost {
            wanted,
            found: host.clone(),
        })
    };
    if host.cmp_precedence(&bounds.minimum).is_lt() {
        refuse(format!(">={}", bounds.minimum));
    }
    if let Some(maximum) = bounds
        .maximum
        .as_ref()
        .filter(|maximum| host.cmp_precedence(maximum).is_gt())
    {
        refuse(format!("<={maximum}"));
    }
    verdict.verified_up_to = bounds
        .verified
        .clone()
        .filter(|verified| host.cmp_precedence(verified).is_gt());
    verdict
}
