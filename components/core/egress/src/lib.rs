//! Where plugins may send requests: URLs, addresses and redirects, judged (H32 to H34, cases 79 to 86).
//!
//! Three questions in this order, and all of them again for each redirect: is the text a URL to somewhere ([`Destination::parse`]), may its
//! scheme, port and name be used ([`Guard::check`]), and may each address be connected to that the name resolves to
//! ([`Guard::check_address`])?
//! What it is not: the capability decision, or a client; nothing is resolved or sent here. Invariants: what is judged is the
//! parsed form, the address that was checked is the one to connect to, and what no rule knows is refused.
#![forbid(unsafe_code)]

mod address;
mod destination;
mod guard;
mod header;
mod port;
mod redirect;
mod reference;
mod rule;

pub use address::special;
pub use destination::{Destination, Scheme};
pub use guard::{BadEntry, Guard, GuardSettings};
pub use header::{is_forbidden_header, travels_across_hosts};
pub use port::denied_by_default;
pub use redirect::{Onward, onward};
pub use reference::rules_markdown;
pub use rule::{Refused, Rule};
