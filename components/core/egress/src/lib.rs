//! Egress rules: which URLs, addresses and redirects an outbound request may use. Nothing is resolved or sent here.
//!
//! Three checks in this order, repeated for each redirect: the text is a URL with a host ([`Destination::parse`]); its
//! scheme, port and name are allowed ([`Guard::check`]); each address that the name resolves to is allowed
//! ([`Guard::check_address`]). The checks use the parsed form, and the client connects to a checked address. See
//! `docs/concepts/sandbox.md`, "Egress rules".
#![forbid(unsafe_code)]

mod address;
mod destination;
mod guard;
mod header;
mod port;
mod redirect;
mod reference;
mod rule;

pub use address::special_purpose_rule;
pub use destination::{Destination, Scheme};
pub use guard::{BadEntry, Guard, GuardSettings};
pub use header::{is_forbidden_header, is_kept_across_origins};
pub use port::denied_by_default;
pub use redirect::{RedirectMethod, redirect_method};
pub use reference::rules_markdown;
pub use rule::{Refused, Rule};
