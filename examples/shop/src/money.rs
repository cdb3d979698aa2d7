//! Amounts of money, in whole cents: no rounding anywhere in the shop.

use serde::{Deserialize, Serialize};

/// The currency of every price in the shop.
pub(crate) const CURRENCY: &str = "EUR";

/// An amount in cents of [`CURRENCY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cents(pub(crate) u64);

impl Cents {
    /// This amount `quantity` times; stops at the largest amount instead of wrapping.
    pub(crate) const fn times(self, quantity: u32) -> Self {
        Self(self.0.saturating_mul(quantity as u64))
    }

    /// The sum; stops at the largest amount instead of wrapping.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The amount less `other`, not below nothing.
    pub(crate) const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many per cent of it, rounded down.
    pub(crate) const fn percent(self, percent: u64) -> Self {
        Self(self.0.saturating_mul(percent) / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Cents(250).times(3), Cents(750));
        assert_eq!(Cents(u64::MAX).times(2), Cents(u64::MAX));
        assert_eq!(Cents(u64::MAX).plus(Cents(1)), Cents(u64::MAX));
        assert_eq!(Cents(5).less(Cents(9)), Cents(0));
        assert_eq!(Cents(1999).percent(5), Cents(99));
    }
}
