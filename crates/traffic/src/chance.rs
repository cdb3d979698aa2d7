//! Chance as an argument: the only source of randomness of this crate.

use std::num::NonZeroU64;

/// A source of independent, uniform draws.
pub trait Chance {
    /// A number in `0..bound`, each equally likely.
    fn below(&mut self, bound: NonZeroU64) -> u64;
}

impl Chance for fastrand::Rng {
    fn below(&mut self, bound: NonZeroU64) -> u64 {
        self.u64(..bound.get())
    }
}
