//! What every algorithm keeps to, over any sequence of updates, requests and endings.

use super::*;
use crate::fixture;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ALGORITHMS: [LoadBalance; 4] = [
    LoadBalance::Ewma,
    LoadBalance::LeastRequest,
    LoadBalance::RoundRobin,
    LoadBalance::Random,
];

const MS: Duration = Duration::from_millis(1);

fn member(id: u64, weight: u32) -> Member {
    Member {
        id: EndpointId(id),
        weight,
        draining: false,
    }
}

fn balancer(algorithm: LoadBalance, weights: &[u32]) -> Balancer {
    let mut balancer = Balancer::new(algorithm);
    let members = (0_u64..).zip(weights).map(|(id, w)| member(id, *w));
    balancer.update(fixture::start(), members);
    balancer
}

/// Picks `n` times without load; the ids in order.
fn picks(balancer: &mut Balancer, n: usize, seed: u64) -> Vec<u64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let now = fixture::start();
    (0..n)
        .map(|_| balancer.pick(now, &mut rng).unwrap().0)
        .collect()
}

fn in_flight(balancer: &Balancer) -> Vec<u32> {
    let now = fixture::start();
    balancer.observed(now).map(|it| it.in_flight).collect()
}

#[test]
fn nothing_to_pick_is_none() {
    let now = fixture::start();
    let mut rng = fastrand::Rng::with_seed(1);
    let draining = Member {
        draining: true,
        ..member(3, 1)
    };
    for algorithm in ALGORITHMS {
        let mut balancer = Balancer::new(algorithm);
        for members in [vec![], vec![member(1, 0)], vec![draining, member(1, 0)]] {
            balancer.update(now, members);
            assert!(!balancer.has_eligible());
            assert_eq!(balancer.pick(now, &mut rng), None, "{algorithm:?}");
        }
        balancer.update(now, [draining, member(4, 7), member(1, 0)]);
        assert!(balancer.has_eligible());
        for _ in 0..20 {
            let picked = balancer.pick(now, &mut rng);
            assert_eq!(picked, Some(EndpointId(4)), "{algorithm:?}");
        }
    }
}

#[test]
fn what_is_unknown_is_ignored_and_the_first_of_two_counts() {
    let now = fixture::start();
    let mut balancer = balancer(LoadBalance::Ewma, &[1]);
    balancer.started(EndpointId(9));
    balancer.finished(EndpointId(9), now, MS, Outcome::Success);
    balancer.finished(EndpointId(0), now, MS, Outcome::Success);
    assert_eq!(in_flight(&balancer), [0]);
    balancer.update(now, [member(1, 5), member(1, 7)]);
    let weights: Vec<u32> = balancer.observed(now).map(|it| it.member.weight).collect();
    assert_eq!(weights, [5]);
}

#[test]
fn what_was_learned_survives_updates_and_algorithms() {
    let now = fixture::start();
    let mut balancer = balancer(LoadBalance::Ewma, &[1, 1]);
    balancer.started(EndpointId(0));
    balancer.started(EndpointId(0));
    balancer.started(EndpointId(1));
    balancer.finished(EndpointId(1), now, 200 * MS, Outcome::Failure);
    let before: Vec<Observed> = balancer.observed(now).collect();
    balancer.set_algorithm(LoadBalance::LeastRequest);
    balancer.update(now, [member(0, 1), member(1, 1), member(2, 1)]);
    let after: Vec<Observed> = balancer.observed(now).collect();
    assert_eq!(before, after[..2]);
    assert!(after[1].latency >= 199 * MS && after[1].success_rate < 1.0);

    // 0 leaves with two requests in flight and returns with one: the other one ended meanwhile.
    balancer.update(now, [member(1, 1)]);
    balancer.finished(EndpointId(0), now, MS, Outcome::Success);
    balancer.update(now, [member(0, 1), member(1, 1)]);
    assert_eq!(in_flight(&balancer), [1, 0]);
    balancer.finished(EndpointId(0), now, MS, Outcome::Success);
    assert_eq!(in_flight(&balancer), [0, 0]);

    // Nothing is kept of an endpoint that left and has nothing in flight.
    balancer.started(EndpointId(1));
    balancer.update(now, []);
    assert_eq!(balancer.departed.len(), 1);
    balancer.finished(EndpointId(1), now, MS, Outcome::Success);
    assert!(balancer.departed.is_empty());
}

#[test]
fn a_newcomer_is_assumed_to_be_as_fast_as_the_cluster() {
    let now = fixture::start();
    let mut balancer = balancer(LoadBalance::Ewma, &[1]);
    let latency = |balancer: &Balancer, index| balancer.observed(now).nth(index).unwrap().latency;
    assert_eq!(latency(&balancer, 0), EWMA_DEFAULT_RTT);
    balancer.started(EndpointId(0));
    balancer.finished(EndpointId(0), now, 2000 * MS, Outcome::Success);
    balancer.update(now, [member(0, 1), member(1, 1)]);
    assert_eq!(latency(&balancer, 1), 2000 * MS);
}

#[test]
fn outcomes_of_answers() {
    for (status, expected) in [
        (200, Outcome::Success),
        (302, Outcome::Success),
        (404, Outcome::Success),
        (429, Outcome::Failure),
        (499, Outcome::Success),
        (500, Outcome::Failure),
        (503, Outcome::Failure),
    ] {
        let found = Outcome::of_status(StatusCode::from_u16(status).unwrap());
        assert_eq!(found, expected, "{status}");
    }
    let failures: Vec<u32> = (0..=17)
        .filter(|status| Outcome::of_grpc_status(*status) == Outcome::Failure)
        .collect();
    assert_eq!(failures, [2, 4, 8, 13, 14, 15]);
}

#[test]
fn round_robin_takes_turns_from_anywhere() {
    let mut starts = BTreeMap::new();
    for seed in 0..100 {
        let mut balancer = balancer(LoadBalance::RoundRobin, &[3, 3, 3]);
        let order = picks(&mut balancer, 7, seed);
        for pair in order.windows(2) {
            assert_eq!(pair[1], (pair[0] + 1) % 3, "{order:?}");
        }
        *starts.entry(order[0]).or_insert(0) += 1;
    }
    assert!(starts.values().all(|count| *count > 15), "{starts:?}");
}

#[test]
fn round_robin_goes_on_where_it_was_after_an_update() {
    let now = fixture::start();
    let mut balancer = balancer(LoadBalance::RoundRobin, &[1, 1, 1, 1]);
    while picks(&mut balancer, 1, 1) != [1] {}
    balancer.update(
        now,
        [member(0, 1), member(2, 1), member(3, 1), member(9, 1)],
    );
    assert_eq!(picks(&mut balancer, 5, 1), [2, 3, 9, 0, 2]);
    balancer.update(now, [member(0, 1), member(1, 1)]);
    assert_eq!(picks(&mut balancer, 3, 1), [0, 1, 0]);
}

#[test]
fn weighted_turns_are_smooth_and_exact() {
    let mut uneven = balancer(LoadBalance::RoundRobin, &[5, 1, 1]);
    assert_eq!(picks(&mut uneven, 7, 1), [0, 0, 1, 0, 2, 0, 0]);
    let mut balancer = balancer(LoadBalance::RoundRobin, &[7, 2, 1]);
    for _ in 0..3 {
        let mut counts = [0; 3];
        for id in picks(&mut balancer, 10, 1) {
            counts[usize::try_from(id).unwrap()] += 1;
        }
        assert_eq!(counts, [7, 2, 1]);
    }
    // Credits of other weights do not starve anyone: the heavy one is now light, and still gets its turns.
    let now = fixture::start();
    let _ = picks(&mut balancer, 1, 1);
    balancer.update(
        now,
        [member(0, 1), member(1, 1_000_000), member(2, 1_000_000)],
    );
    let _ = picks(&mut balancer, 1000, 1);
    balancer.update(now, [member(0, 2), member(1, 1), member(2, 1)]);
    let zeros = picks(&mut balancer, 8, 1)
        .iter()
        .filter(|id| **id == 0)
        .count();
    assert_eq!(zeros, 4);
}

#[test]
fn least_request_prefers_the_less_loaded_and_respects_weights() {
    let mut balancer = balancer(LoadBalance::LeastRequest, &[1, 1]);
    balancer.started(EndpointId(0));
    assert!(picks(&mut balancer, 50, 1).iter().all(|id| *id == 1));
    // Three against one is the same load as one against a third of the weight; the first draw decides.
    let now = fixture::start();
    balancer.update(now, [member(0, 1), member(1, 3)]);
    for _ in 0..3 {
        balancer.started(EndpointId(1));
    }
    let ones = picks(&mut balancer, 10_000, 2).iter().sum::<u64>();
    assert!((7300..7700).contains(&ones), "{ones}");
    balancer.started(EndpointId(1));
    let zeros = picks(&mut balancer, 1000, 3)
        .iter()
        .filter(|id| **id == 0)
        .count();
    // 1 is taken only where both draws are its parts: 3/4 of the first, 2/3 of the second.
    assert!((450..550).contains(&zeros), "{zeros}");
}

#[test]
fn ewma_prefers_the_faster_and_the_less_loaded() {
    let now = fixture::start();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut balancer = balancer(LoadBalance::Ewma, &[1, 1]);
    for (id, latency) in [(0, 40 * MS), (1, 100 * MS)] {
        balancer.started(EndpointId(id));
        balancer.finished(EndpointId(id), now, latency, Outcome::Success);
    }
    // 40, 80 and 120 against 100: the third goes to the slower one.
    let mut order = Vec::new();
    for _ in 0..4 {
        let id = balancer.pick(now, &mut rng).unwrap();
        balancer.started(id);
        order.push(id.0);
    }
    assert_eq!(order, [0, 0, 1, 0]);
}

/// An action of a random run.
#[derive(Debug, Clone)]
enum Step {
    /// Ids, weights and whether they drain.
    Update(Vec<(u64, u32, bool)>),
    Algorithm(usize),
    Pick,
    /// Ends one of the open requests.
    Finish(prop::sample::Index, u64, u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let members = prop::collection::vec((0_u64..6, 0_u32..4, any::<bool>()), 0..6);
    prop_oneof![
        2 => members.prop_map(Step::Update),
        1 => (0..ALGORITHMS.len()).prop_map(Step::Algorithm),
        6 => Just(Step::Pick),
        5 => (any::<prop::sample::Index>(), 0_u64..500, 0_u8..3)
            .prop_map(|(which, millis, outcome)| Step::Finish(which, millis, outcome)),
        1 => (0_u64..20_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Only eligible endpoints are picked, whenever there is one, and every endpoint's count of requests in flight is
    /// exactly the number of requests that were started and not finished, also over departure and return.
    #[test]
    fn invariants_hold_over_any_run(steps in prop::collection::vec(step(), 1..120), seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut now = fixture::start();
        let mut balancer = Balancer::new(LoadBalance::Ewma);
        let mut table: BTreeMap<u64, (u32, bool)> = BTreeMap::new();
        let mut open: Vec<u64> = Vec::new();
        for step in steps {
            match step {
                Step::Update(members) => {
                    table.clear();
                    for (id, weight, draining) in &members {
                        table.entry(*id).or_insert((*weight, *draining));
                    }
                    balancer.update(now, members.into_iter().map(|(id, weight, draining)| Member {
                        id: EndpointId(id),
                        weight,
                        draining,
                    }));
                }
                Step::Algorithm(index) => balancer.set_algorithm(ALGORITHMS[index]),
                Step::Pick => {
                    let eligible = |id: u64| table.get(&id).is_some_and(|(w, d)| *w > 0 && !d);
                    match balancer.pick(now, &mut rng) {
                        Some(EndpointId(id)) => {
                            prop_assert!(eligible(id));
                            balancer.started(EndpointId(id));
                            open.push(id);
                        }
                        None => prop_assert!(!table.keys().any(|id| eligible(*id))),
                    }
                }
                Step::Finish(which, millis, outcome) => {
                    if !open.is_empty() {
                        let id = open.swap_remove(which.index(open.len()));
                        let outcome = match outcome {
                            0 => Outcome::Success,
                            1 => Outcome::Failure,
                            _ => Outcome::Cancelled,
                        };
                        balancer.finished(EndpointId(id), now, Duration::from_millis(millis), outcome);
                    }
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
            }
            for observed in balancer.observed(now) {
                let expected = open.iter().filter(|id| **id == observed.member.id.0).count();
                prop_assert_eq!(observed.in_flight as usize, expected);
                prop_assert!(observed.success_rate > 0.0 && observed.success_rate <= 1.0);
                prop_assert!(observed.latency > Duration::ZERO);
            }
            prop_assert_eq!(balancer.observed(now).count(), table.len());
        }
        for id in std::mem::take(&mut open) {
            balancer.finished(EndpointId(id), now, MS, Outcome::Success);
        }
        prop_assert!(balancer.departed.is_empty());
        prop_assert!(balancer.observed(now).all(|it| it.in_flight == 0));
    }
}
