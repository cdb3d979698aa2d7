//! Waiting for something to become true, with a deadline and a reason when it does not.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Looks until `look` gives `Ok`; panics with the last `Err` at the deadline.
///
/// `what` completes "gave up waiting for ...".
pub async fn eventually<T, E, F>(deadline: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Debug,
{
    let end = Instant::now() + deadline;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        ticks.tick().await;
        match tokio::time::timeout_at(end, look()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
        assert!(
            Instant::now() < end,
            "gave up waiting for {what} after {deadline:?}: {last:?}"
        );
    }
}

/// Looks until `look` is true; panics at the deadline.
pub async fn until(deadline: Duration, what: &str, mut look: impl FnMut() -> bool) {
    eventually(deadline, what, || {
        std::future::ready(if look() { Ok(()) } else { Err("not yet") })
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_looks_until_the_deadline() {
        let mut looks = 0;
        until(Duration::from_secs(1), "three looks", || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(looks, 3);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "gave up waiting for nothing after 1s: Some(\"not yet\")")]
    async fn it_gives_up_with_a_reason() {
        until(Duration::from_secs(1), "nothing", || false).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "gave up waiting for a look that hangs")]
    async fn a_look_that_hangs_does_not_hang_the_test() {
        let hang = || std::future::pending::<Result<(), ()>>();
        eventually(Duration::from_secs(1), "a look that hangs", hang).await;
    }
}
