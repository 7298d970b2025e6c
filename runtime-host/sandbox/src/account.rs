//! What all memories (or tables) of one instance hold together.

/// A sum with a limit. wasmtime limits each memory; a component that has many must not get the limit many times.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    used: usize,
    max: usize,
}

impl Account {
    /// An empty account; `max` is in the unit of what is counted (bytes, elements).
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { used: 0, max }
    }

    /// What is held now.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// One of the counted things wants to grow from `current` to `desired`; whether all of them fit then. Counts only what fits.
    pub fn grow(&mut self, current: usize, desired: usize) -> bool {
        let total = (self.used - current.min(self.used)).saturating_add(desired);
        let fits = total <= self.max;
        if fits {
            self.used = total;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn all_together_stay_within_the_limit() {
        let mut account = Account::new(100);
        assert!(account.grow(0, 60));
        assert!(!account.grow(0, 60), "a second one of the same size");
        assert_eq!(account.used(), 60, "what does not fit is not counted");
        assert!(account.grow(60, 70) && account.grow(0, 30));
        assert!(!account.grow(30, usize::MAX), "no overflow");
        assert_eq!(account.used(), 100);
    }
}
