//! Retries of a rule, and those that `MeshConfig` gives to rules that say nothing: checked, and not
//! enforced yet.

use crate::{
    duration,
    report::{Fault, Report},
};
use weft_crds::http_route::HttpRetry;

/// Conditions of `retryOn` besides status codes.
const RETRY_ON: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// Checks retries.
pub(crate) fn check(retries: &HttpRetry, path: &str, report: &mut Report) {
    let others = retries.per_try_timeout.is_some()
        || retries.retry_on.as_deref().is_some_and(|it| !it.is_empty())
        || retries.backoff.is_some()
        || retries.retry_remote_localities.is_some()
        || retries.retry_ignore_previous_hosts.is_some();
    if retries.attempts == Some(0) && others {
        report.invalid(
            format!("{path}.attempts"),
            Fault::new(
                "ConflictingActions",
                "0 attempts switch retries off, and the other fields say how to retry",
                "remove the other fields, or give 1 attempt or more",
            ),
        );
    }
    for (name, text) in [
        ("perTryTimeout", &retries.per_try_timeout),
        ("backoff", &retries.backoff),
    ] {
        if let Some(text) = text {
            report.take(&format!("{path}.{name}"), duration::positive(text));
        }
    }
    let conditions = retries.retry_on.as_deref().filter(|text| !text.is_empty());
    for condition in conditions.into_iter().flat_map(|text| text.split(',')) {
        let condition = condition.trim();
        let code = condition
            .parse::<u16>()
            .is_ok_and(|code| (100..=599).contains(&code));
        if !code && !RETRY_ON.contains(&condition) {
            report.invalid(
                format!("{path}.retryOn"),
                Fault::new(
                    "UnknownValue",
                    format!("`{condition}` is not a condition to retry on"),
                    format!("use a status code or one of {}", RETRY_ON.join(", ")),
                ),
            );
        }
    }
}
