//! The network rules by name, as in logs, in the audit and in the error a plugin gets.
//!
//! Names are stable. A refusal names the rule and a host, address or number, never a path or query, which may hold
//! secrets.

use limits::egress::QUOTED_CHARS_MAX;
use std::fmt;

macro_rules! rules {
    ($($variant:ident $name:literal $description:literal;)+) => {
        /// A rule that refuses a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $description] $variant,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// One sentence for the reference page.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),+ }
            }
        }
    };
}

rules! {
    UrlTooLong "url-too-long" "The URL is longer than the limit.";
    BadUrl "bad-url" "The text is no absolute URL with a host, or holds white space, control characters or backslashes.";
    Scheme "scheme" "The scheme is neither http nor https.";
    HttpsRequired "https-required" "The operator allows https only.";
    Userinfo "userinfo" "The URL has a user or password, which can hide its host.";
    Port "port" "The port belongs to a service that is no web server, or the operator denies it.";
    OwnSocket "own-socket" "The host itself listens there; this cannot be opened.";
    LocalName "local-name" "The name belongs to this machine or its network.";
    NoAddress "no-address" "The name has no address.";
    TooManyAddresses "too-many-addresses" "The name has more addresses than are checked.";
    TooManyRedirects "too-many-redirects" "There were more redirects than are followed.";
    RedirectDowngrade "redirect-downgrade" "A redirect leads from https to http.";
    Header "header" "The header field belongs to the host, or breaks HTTP.";
    Unspecified "unspecified" "The address means this machine (0.0.0.0/8, ::).";
    Loopback "loopback" "The address is a loopback address (127.0.0.0/8, ::1).";
    Private "private" "The address belongs to a private network (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16).";
    UniqueLocal "unique-local" "The address belongs to a private network (fc00::/7), cloud metadata included.";
    Shared "shared" "The address is shared behind a carrier (100.64.0.0/10), cloud metadata included.";
    LinkLocal "link-local" "The address is on this link (169.254.0.0/16, fe80::/10), cloud metadata included.";
    SiteLocal "site-local" "The address belongs to a site (fec0::/10).";
    Protocol "protocol-assignment" "The address belongs to a protocol (192.0.0.0/24, 192.88.99.0/24, 2001::/23).";
    Documentation "documentation" "The address is for documents (TEST-NET, 2001:db8::/32, 3fff::/20).";
    Benchmarking "benchmarking" "The address is for measurements (198.18.0.0/15).";
    Multicast "multicast" "The address is a multicast group.";
    Broadcast "broadcast" "The address is the broadcast address of the link.";
    Reserved "reserved" "The address is reserved.";
    Discard "discard" "The address is for discarding (100::/64).";
    V4Mapped "v4-mapped" "An IPv4 address in an IPv6 one (::ffff:0:0/96).";
    V4Compatible "v4-compatible" "An IPv4 address in an IPv6 one (::/96).";
    Nat64 "nat64" "An IPv4 address in an IPv6 one (64:ff9b::/96, 64:ff9b:1::/48).";
    SixToFour "6to4" "An IPv4 address in an IPv6 one (2002::/16).";
    Teredo "teredo" "An IPv4 address in an IPv6 one (2001::/32).";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A request that is refused: the rule, and the host, address, port, scheme or field that breaks it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject} is refused by the network rule {rule}")]
pub struct Refused {
    /// The rule.
    pub rule: Rule,
    /// What breaks it.
    pub subject: Box<str>,
}

impl Refused {
    /// A refusal; a long subject is cut.
    #[must_use]
    pub fn new(rule: Rule, subject: &str) -> Self {
        let end = subject
            .char_indices()
            .nth(QUOTED_CHARS_MAX)
            .map_or(subject.len(), |(end, _)| end);
        Self {
            rule,
            subject: subject[..end].into(),
        }
    }

    /// The rule's name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.rule.name()
    }
}
