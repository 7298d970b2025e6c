//! The memory and the tables of one instance, counted together.
//!
//! wasmtime limits each memory and each table; without a sum, a component with many of them would get the limit many
//! times.

use wasmtime::ResourceLimiter;

/// Limits one store: the bytes of all its linear memories and the elements of all its tables.
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    memory_bytes: Account,
    table_elements: Account,
}

impl Limiter {
    /// A limiter of a store that holds nothing yet.
    #[must_use]
    pub const fn new(memory_bytes_max: usize, table_elements_max: usize) -> Self {
        Self {
            memory_bytes: Account::new(memory_bytes_max),
            table_elements: Account::new(table_elements_max),
        }
    }

    /// Bytes of all linear memories now.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.memory_bytes.used
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.memory_bytes.grow(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.table_elements.grow(current, desired))
    }
}

/// A sum with a limit.
#[derive(Debug, Clone, Copy)]
struct Account {
    used: usize,
    max: usize,
}

impl Account {
    const fn new(max: usize) -> Self {
        Self { used: 0, max }
    }

    /// Counts the growth of one memory or table from `current` to `desired`, if the sum stays within the limit.
    fn grow(&mut self, current: usize, desired: usize) -> bool {
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
    use super::{Account, Limiter};
    use wasmtime::ResourceLimiter;

    #[test]
    fn the_sum_of_all_stays_within_the_limit() {
        let mut account = Account::new(100);
        assert!(account.grow(0, 60));
        assert!(!account.grow(0, 60), "a second one of the same size");
        assert_eq!(account.used, 60, "a refused growth is not counted");
        assert!(account.grow(60, 70) && account.grow(0, 30));
        assert!(!account.grow(30, usize::MAX), "no overflow");
        assert_eq!(account.used, 100);
    }

    #[test]
    fn memories_and_tables_are_counted_apart() {
        let mut limiter = Limiter::new(10, 5);
        let memory = limiter.memory_growing(0, 10, None).expect("an answer");
        let table = limiter.table_growing(0, 5, None).expect("an answer");
        assert!(memory && table);
        assert!(!limiter.table_growing(0, 1, None).expect("an answer"));
        assert_eq!(limiter.memory_bytes(), 10);
    }
}
