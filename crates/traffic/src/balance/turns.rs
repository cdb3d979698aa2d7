//! Round robin: in the order of ids where weights are equal, else smooth weighted turns as in nginx.
//!
//! Smooth means that 5:1:1 comes as `a a b a c a a`, not as five times `a` in a row: at each turn every endpoint earns
//! its weight as credit, the richest is picked and pays the sum of all weights. A turn looks at each endpoint once,
//! which a cluster with unequal weights (there are none in Kubernetes) is small enough for.

use super::{Slot, draw::Eligible};
use crate::chance::Chance;
use std::num::NonZeroU64;
use weft_model::endpoint::EndpointId;

/// Whose turn it was.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// None before the first turn, which begins anywhere: a hundred sidecars must not all begin at the same endpoint.
    last: Option<EndpointId>,
}

impl Turns {
    /// Slot of the endpoint whose turn it is.
    pub(super) fn next(
        &mut self,
        slots: &mut [Slot],
        eligible: &Eligible,
        chance: &mut impl Chance,
    ) -> Option<usize> {
        let (slot, id) = if eligible.even() {
            let place = match self.last {
                Some(last) => eligible.place_after(last),
                None => {
                    let places = NonZeroU64::new(eligible.len() as u64)?;
                    usize::try_from(chance.below(places)).ok()?
                }
            };
            let (slot, member) = eligible.at(place).or_else(|| eligible.at(0))?;
            (slot, member.id)
        } else {
            smooth(slots, eligible)?
        };
        self.last = Some(id);
        Some(slot)
    }
}

/// See the module's documentation. Of equally rich ones the first is picked.
fn smooth(slots: &mut [Slot], eligible: &Eligible) -> Option<(usize, EndpointId)> {
    let mut richest: Option<(i64, usize, EndpointId)> = None;
    for (index, member) in eligible.iter() {
        let slot = slots.get_mut(index)?;
        slot.credit += i64::from(member.weight);
        if richest.is_none_or(|(credit, ..)| slot.credit > credit) {
            richest = Some((slot.credit, index, member.id));
        }
    }
    let (_, index, id) = richest?;
    let total = i64::try_from(eligible.total()).unwrap_or(i64::MAX);
    slots.get_mut(index)?.credit -= total;
    Some((index, id))
}
