//! The network policy: rules for scheme, port, name and address, with the operator's exceptions.
//!
//! A plugin's own allow-list is a matter of its capabilities. Without configuration only globally reachable addresses
//! are open.

use crate::{Destination, Refused, Rule, Scheme, denied_by_default, special_purpose_rule};
use ipnet::IpNet;
use limits::egress::OPENED_MAX;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};

/// The network policy in the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardSettings {
    /// Private hosts and networks that plugins may reach: `db.internal`, `10.1.0.0/16`, `127.0.0.1`, `fd00::/8`. An
    /// address or network is open under every name. A name is open if it resolves to addresses of private networks or
    /// of this machine, but not to a cloud's metadata service.
    pub open: Vec<String>,
    /// Ports denied in addition to the default list. The host's own sockets are always denied.
    pub ports_denied: Vec<u16>,
    /// Ports of the default list that are open.
    pub ports_open: Vec<u16>,
    /// Whether plain http is refused.
    pub https_only: bool,
}

/// An entry of `open` that is neither name, address nor network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("open[{index}]: {rule}")]
pub struct BadEntry {
    /// Which entry.
    pub index: usize,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl BadEntry {
    /// A stable name of the fault, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "bad-open-entry"
    }
}

/// The compiled network policy. By default every globally reachable address is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    names: BTreeSet<Box<str>>,
    networks: Vec<IpNet>,
    ports_denied: BTreeSet<u16>,
    ports_open: BTreeSet<u16>,
    https_only: bool,
}

impl Guard {
    /// Compiles the settings.
    ///
    /// # Errors
    /// [`BadEntry`] for the first entry of `open` that opens nothing, or that is one too many.
    pub fn new(settings: &GuardSettings) -> Result<Self, BadEntry> {
        let mut guard = Self {
            ports_denied: settings.ports_denied.iter().copied().collect(),
            ports_open: settings.ports_open.iter().copied().collect(),
            https_only: settings.https_only,
            ..Self::default()
        };
        for (index, entry) in settings.open.iter().enumerate() {
            guard
                .open(entry.trim())
                .map_err(|rule| BadEntry { index, rule })?;
            if index >= OPENED_MAX {
                return Err(BadEntry {
                    index,
                    rule: "is one more than can be open",
                });
            }
        }
        Ok(guard)
    }

    fn open(&mut self, entry: &str) -> Result<(), &'static str> {
        let bare = entry
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(entry);
        if let Ok(network) = bare.parse::<IpNet>() {
            if network.addr() != network.network() {
                return Err("must be a network without bits behind its prefix");
            }
            self.networks.push(network);
        } else if let Ok(address) = bare.parse::<IpAddr>() {
            self.networks.push(address.into());
        } else {
            let wrong = "must be a host name, an address or a network";
            let destination = Destination::parse(&format!("http://{entry}/")).map_err(|_| wrong)?;
            // A name only: no port, no path, no address in another notation.
            if destination.address().is_some() || !entry.eq_ignore_ascii_case(destination.host()) {
                return Err(wrong);
            }
            self.names.insert(destination.host().into());
        }
        Ok(())
    }

    /// Checks the scheme, port and name of a URL, and the address if its host is one.
    ///
    /// # Errors
    /// [`Rule::HttpsRequired`], [`Rule::Port`], [`Rule::LocalName`], or the rule of
    /// [`check_address`](Self::check_address).
    pub fn check(&self, to: &Destination) -> Result<(), Refused> {
        if self.https_only && to.scheme() != Scheme::Https {
            return Err(Refused::new(Rule::HttpsRequired, to.host()));
        }
        let port = to.port();
        if port == 0
            || self.ports_denied.contains(&port)
            || (denied_by_default(port) && !self.ports_open.contains(&port))
        {
            return Err(Refused::new(Rule::Port, &format!("port {port}")));
        }
        match to.address() {
            Some(address) => self.check_address(to.host(), address),
            None if is_local(to.host()) && !self.names.contains(to.host()) => {
                Err(Refused::new(Rule::LocalName, to.host()))
            }
            None => Ok(()),
        }
    }

    /// Checks an address that `host` resolved to. Every address of a name is checked before a connection is opened, and
    /// the connection goes to a checked address: a second lookup could return another one (DNS rebinding).
    ///
    /// # Errors
    /// The rule of [`special_purpose_rule`], unless the operator opened the address or the name.
    pub fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let Some(rule) = special_purpose_rule(address) else {
            return Ok(());
        };
        let named = matches!(
            rule,
            Rule::Loopback | Rule::Private | Rule::UniqueLocal | Rule::Shared
        ) && self.names.contains(host);
        // A name never opens a metadata service: its credentials belong to the machine, not to the plugin.
        let metadata = METADATA.contains(&address);
        if (named && !metadata)
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
        {
            return Ok(());
        }
        Err(Refused::new(rule, &format!("{host} ({address})")))
    }
}

/// Metadata services of clouds outside the link-local range: Alibaba Cloud and AWS.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Names that are resolved on the machine or its network only (RFC 6761, RFC 6762, RFC 8375, ICANN's private-use
/// `internal`).
fn is_local(name: &str) -> bool {
    const LOCAL: [&str; 5] = ["localhost", "localdomain", "local", "internal", "home.arpa"];
    LOCAL.iter().any(|local| {
        name.strip_suffix(local)
            .is_some_and(|front| front.is_empty() || front.ends_with('.'))
    })
}
