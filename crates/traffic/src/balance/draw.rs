//! The endpoints that may be picked, drawn by weight.
//!
//! Weights are whole numbers all the way, so shares are exact. Where all weights are equal, a draw is one multiplication;
//! else a binary search in the running sums.

use super::Member;
use crate::chance::Chance;
use std::num::NonZeroU64;

/// Two draws. A weight counts as that many parts of the smallest weight; the second draw is never the part that was
/// drawn first, so it is another endpoint unless the first one is heavier than the lightest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) first: usize,
    /// None: the first one again, or there is no other.
    pub(super) second: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    member: Member,
    /// Its place among all endpoints.
    slot: usize,
    /// Sum of the weights up to and including this one.
    up_to: u64,
}

/// Endpoints of weight above 0 that are not draining, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Eligible {
    entries: Vec<Entry>,
    total: u64,
    /// The smallest weight.
    unit: u32,
}

impl Eligible {
    pub(super) fn new(members: impl Iterator<Item = Member>) -> Self {
        let mut total = 0_u64;
        let entries: Vec<Entry> = members
            .enumerate()
            .filter(|(_, member)| member.weight > 0 && !member.draining)
            .map(|(slot, member)| {
                total += u64::from(member.weight);
                Entry {
                    member,
                    slot,
                    up_to: total,
                }
            })
            .collect();
        let unit = entries.iter().map(|entry| entry.member.weight).min();
        Self {
            entries,
            total,
            unit: unit.unwrap_or_default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The smallest weight; 0 if there is no endpoint.
    pub(super) fn unit(&self) -> u32 {
        self.unit
    }

    /// Sum of all weights.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Whether all weights are the same.
    pub(super) fn even(&self) -> bool {
        u64::from(self.unit) * self.entries.len() as u64 == self.total
    }

    /// Number of endpoints.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Slot and member of the endpoint at `place`.
    pub(super) fn at(&self, place: usize) -> Option<(usize, Member)> {
        self.entries
            .get(place)
            .map(|entry| (entry.slot, entry.member))
    }

    /// Slots and members, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Member)> {
        self.entries.iter().map(|entry| (entry.slot, entry.member))
    }

    /// The first place whose id is above `id`; the number of endpoints if there is none.
    pub(super) fn place_after(&self, id: weft_model::endpoint::EndpointId) -> usize {
        self.entries.partition_point(|entry| entry.member.id <= id)
    }

    /// One endpoint's slot by weight.
    pub(super) fn one(&self, chance: &mut impl Chance) -> Option<usize> {
        let place = self.place(chance.below(NonZeroU64::new(self.total)?));
        self.entries.get(place).map(|entry| entry.slot)
    }

    /// Two endpoints' slots by weight.
    pub(super) fn two(&self, chance: &mut impl Chance) -> Option<Pair> {
        let place = self.place(chance.below(NonZeroU64::new(self.total)?));
        let entry = self.entries.get(place)?;
        let first = entry.slot;
        let unit = u64::from(self.unit);
        let Some(rest) = NonZeroU64::new(self.total - unit) else {
            return Some(Pair {
                first,
                second: None,
            });
        };
        // The first one's last part is taken out of the range.
        let mut point = chance.below(rest);
        if point >= entry.up_to - unit {
            point += unit;
        }
        let second = self.entries.get(self.place(point)).map(|entry| entry.slot);
        Some(Pair {
            first,
            second: second.filter(|slot| *slot != first),
        })
    }

    /// Whose the point is, of `0..total`.
    fn place(&self, point: u64) -> usize {
        if self.even() {
            usize::try_from(point / u64::from(self.unit.max(1))).unwrap_or(usize::MAX)
        } else {
            self.entries.partition_point(|entry| entry.up_to <= point)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use weft_model::endpoint::EndpointId;

    /// Plays given draws one after the other.
    struct Script(Vec<u64>);
    impl Chance for Script {
        fn below(&mut self, bound: NonZeroU64) -> u64 {
            let draw = self.0.remove(0);
            assert!(draw < bound.get());
            draw
        }
    }

    fn eligible(weights: &[u32]) -> Eligible {
        Eligible::new((0_u64..).zip(weights).map(|(id, weight)| Member {
            id: EndpointId(id),
            weight: *weight,
            draining: false,
        }))
    }

    /// How often each slot is first, and each pair is drawn, over all possible draws.
    fn all_pairs(weights: &[u32]) -> BTreeMap<(usize, Option<usize>), u32> {
        let eligible = eligible(weights);
        let mut counts = BTreeMap::new();
        let rest = eligible.total - u64::from(eligible.unit);
        for one in 0..eligible.total {
            for other in 0..rest {
                let pair = eligible.two(&mut Script(vec![one, other])).unwrap();
                *counts.entry((pair.first, pair.second)).or_default() += 1;
            }
        }
        counts
    }

    #[test]
    fn equal_weights_draw_two_different_endpoints_equally_often() {
        for weights in [[1_u32, 1, 1], [100, 100, 100]] {
            let counts = all_pairs(&weights);
            assert_eq!(counts.len(), 6);
            let first = *counts.values().next().unwrap();
            for ((one, other), count) in counts {
                assert_ne!(Some(one), other);
                assert_eq!(count, first);
            }
        }
    }

    /// If a coin decides between the two, each endpoint's share is exactly its weight's.
    #[test]
    fn pairs_keep_the_shares_of_unequal_weights() {
        for weights in [
            vec![1_u32, 9],
            vec![9, 1],
            vec![2, 3, 5],
            vec![4, 4, 8],
            vec![7, 1, 1, 1],
        ] {
            let mut halves = vec![0_u32; weights.len()];
            for ((one, other), count) in all_pairs(&weights) {
                halves[one] += count;
                halves[other.unwrap_or(one)] += count;
            }
            let (sum, all): (u32, u32) = (weights.iter().sum(), halves.iter().sum());
            for (weight, half) in weights.iter().zip(&halves) {
                assert_eq!(half * sum, weight * all, "{weights:?} {halves:?}");
            }
        }
    }

    #[test]
    fn what_gets_nothing_is_left_out() {
        let member = |id, weight, draining| Member {
            id: EndpointId(id),
            weight,
            draining,
        };
        let eligible = Eligible::new(
            [
                member(1, 0, false),
                member(2, 5, true),
                member(3, 4, false),
                member(4, 2, false),
            ]
            .into_iter(),
        );
        assert_eq!(
            (eligible.total(), eligible.unit(), eligible.len()),
            (6, 2, 2)
        );
        assert!(!eligible.even());
        let slots: Vec<_> = (0..6)
            .map(|draw| eligible.one(&mut Script(vec![draw])).unwrap())
            .collect();
        assert_eq!(slots, [2, 2, 2, 2, 3, 3]);
        assert!(eligible.at(2).is_none());
    }

    #[test]
    fn none_and_one() {
        assert_eq!(eligible(&[]).two(&mut Script(vec![])), None);
        assert_eq!(eligible(&[]).one(&mut Script(vec![])), None);
        assert_eq!(eligible(&[0]).one(&mut Script(vec![])), None);
        let alone = Pair {
            first: 0,
            second: None,
        };
        assert_eq!(eligible(&[5]).two(&mut Script(vec![4])), Some(alone));
    }
}
