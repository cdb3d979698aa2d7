//! Until when a request may run.

use std::time::Instant;
use weft_model::route::HttpRoute;

/// The moment at which a request under `route`, whose head was read at `received`, is answered 504 instead. None: never.
///
/// A bound too far away for the clock is none.
#[must_use]
pub fn deadline(route: &HttpRoute, received: Instant) -> Option<Instant> {
    received.checked_add(route.timeout?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use std::time::Duration;

    #[test]
    fn the_deadline_is_the_routes_timeout_after_the_head() {
        let received = fixture::start();
        let check = |timeout, expected: Option<Duration>| {
            let route = HttpRoute {
                timeout,
                ..fixture::catch_all()
            };
            assert_eq!(
                deadline(&route, received),
                expected.map(|after| received + after),
                "{timeout:?}"
            );
        };
        check(None, None);
        check(Some(Duration::MAX), None);
        for millis in [1, 250, 10_000, 86_400_000] {
            let timeout = Some(Duration::from_millis(millis));
            check(timeout, timeout);
        }
    }
}
