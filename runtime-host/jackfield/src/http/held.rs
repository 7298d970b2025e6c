//! Bytes of bodies that the host holds for its clients, in either direction: bounded for one address and altogether.

use gateway::address::AddressKey;
use limits::rest::{BODIES_BYTES_MAX, BODIES_PER_ADDRESS_BYTES_MAX};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// The account of all bodies. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldBytes(Arc<Mutex<Account>>);

#[derive(Debug, Default)]
struct Account {
    bytes: usize,
    by_address: HashMap<AddressKey, usize>,
}

/// The bytes of one body in the account of its address; they count until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    held: HeldBytes,
    address: AddressKey,
    bytes: usize,
}

/// Which bound would be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// [`BODIES_PER_ADDRESS_BYTES_MAX`].
    Address,
    /// [`BODIES_BYTES_MAX`].
    Host,
}

impl HeldBytes {
    /// A share without bytes.
    pub(super) fn share(&self, address: AddressKey) -> Share {
        Share {
            held: self.clone(),
            address,
            bytes: 0,
        }
    }
}

impl Share {
    /// Adds `bytes`, all or none.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let mut account = self.held.0.lock();
        let of_address = account.by_address.get(&self.address).copied().unwrap_or(0) + bytes;
        if of_address > BODIES_PER_ADDRESS_BYTES_MAX {
            return Err(Full::Address);
        }
        if account.bytes + bytes > BODIES_BYTES_MAX {
            return Err(Full::Host);
        }
        account.bytes += bytes;
        account.by_address.insert(self.address, of_address);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut account = self.held.0.lock();
        account.bytes -= self.bytes;
        if let Some(of_address) = account.by_address.get_mut(&self.address) {
            *of_address -= self.bytes;
            if *of_address == 0 {
                account.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BODIES_BYTES_MAX, BODIES_PER_ADDRESS_BYTES_MAX, Full, HeldBytes};
    use gateway::address::AddressKey;
    use std::net::IpAddr;

    #[test]
    fn an_address_and_all_have_a_bound_and_get_back_what_they_had() {
        let held = HeldBytes::default();
        let address = |last: u8| AddressKey::new(IpAddr::from([127, 0, 0, last]), 64);
        let mut of_one = held.share(address(1));
        of_one.grow(BODIES_PER_ADDRESS_BYTES_MAX).expect("it fits");
        assert_eq!(held.share(address(1)).grow(1), Err(Full::Address));
        let addresses = (BODIES_BYTES_MAX / BODIES_PER_ADDRESS_BYTES_MAX) as u8;
        let others: Vec<_> = (2..=addresses)
            .map(|last| {
                let mut share = held.share(address(last));
                share.grow(BODIES_PER_ADDRESS_BYTES_MAX).expect("it fits");
                share
            })
            .collect();
        assert_eq!(held.share(address(200)).grow(1), Err(Full::Host));
        drop(of_one);
        held.share(address(200)).grow(1).expect("it was given back");
        drop(others);
        assert!(held.0.lock().by_address.is_empty());
    }
}
