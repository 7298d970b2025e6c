//! The sockets of this process, which its plugins never reach, whatever the operator has opened: a request from here
//! would be trusted for where it comes from.

use crate::Policy;
use egress::{Destination, Refused, Rule};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// A policy that also refuses the sockets on which this process listens.
#[derive(Debug, Clone)]
pub struct ExceptOwn<P> {
    policy: P,
    listening: Vec<SocketAddr>,
}

impl<P: Policy> ExceptOwn<P> {
    /// The policy, and the sockets with their real ports.
    pub const fn new(policy: P, listening: Vec<SocketAddr>) -> Self {
        Self { policy, listening }
    }

    fn refuse_own(&self, to: &Destination, address: IpAddr) -> Result<(), Refused> {
        let mut ports = self.listening.iter().map(SocketAddr::port);
        if ports.any(|own| own == to.port()) && is_this_machine(address.to_canonical()) {
            let subject = format!("{} ({address})", to.host());
            return Err(Refused::new(Rule::OwnSocket, &subject));
        }
        Ok(())
    }
}

impl<P: Policy> Policy for ExceptOwn<P> {
    fn check(&self, to: &Destination) -> Result<(), Refused> {
        self.policy.check(to)?;
        to.address()
            .map_or(Ok(()), |address| self.refuse_own(to, address))
    }

    fn check_address(&self, to: &Destination, address: IpAddr) -> Result<(), Refused> {
        self.refuse_own(to, address)?;
        self.policy.check_address(to, address)
    }
}

/// Whether an address is one of this machine's. Another one cannot be bound.
fn is_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::ExceptOwn;
    use crate::Policy;
    use egress::{Destination, Guard, GuardSettings};

    #[test]
    fn own_sockets_are_refused_under_every_name_and_others_are_not() {
        let settings = GuardSettings {
            open: [
                "127.0.0.0/8",
                "0.0.0.0",
                "::1",
                "::ffff:0:0/96",
                "10.0.0.0/8",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..GuardSettings::default()
        };
        let listening = vec!["0.0.0.0:8099".parse().expect("a socket")];
        let policy = ExceptOwn::new(Guard::new(&settings).expect("legal"), listening);
        let check = |url: &str, address: &str| {
            let to = Destination::parse(url).expect("a URL");
            let checked = policy.check_address(&to, address.parse().expect("an address"));
            checked.map_err(|refused| refused.code())
        };
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
        ] {
            let own = check("http://any.example:8099/", address);
            assert_eq!(own, Err("own-socket"), "{address}");
            assert_eq!(
                check("http://any.example:8098/", address),
                Ok(()),
                "{address}"
            );
        }
        // Another machine's socket of the same port.
        assert_eq!(check("http://any.example:8099/", "10.255.255.1"), Ok(()));
    }
}
