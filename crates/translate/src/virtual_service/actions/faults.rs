//! Fault injection of a rule: checked, and not enforced yet.

use super::{deprecated, percent};
use crate::{
    duration,
    report::{Fault, Report},
};
use weft_crds::http_route::HttpFaultInjection;

/// Names of gRPC statuses.
const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Checks delay and abort.
pub(super) fn check(fault: &HttpFaultInjection, path: &str, report: &mut Report) {
    let mut unused = |path: String| {
        report.warn(
            path,
            Fault::new(
                "NoEffect",
                "without a percentage the fault concerns no request",
                "add percentage.value, 0 to 100",
            ),
        );
    };
    if let Some(delay) = &fault.delay
        && delay.percentage.is_none()
        && delay.percent.is_none()
    {
        unused(format!("{path}.delay.percentage"));
    }
    if let Some(abort) = &fault.abort
        && abort.percentage.is_none()
    {
        unused(format!("{path}.abort.percentage"));
    }
    if fault.delay.is_none() && fault.abort.is_none() {
        report.invalid(
            path,
            Fault::new(
                "EmptyAction",
                "the fault says nothing",
                "give delay or abort",
            ),
        );
    }
    if let Some(delay) = &fault.delay {
        let path = format!("{path}.delay");
        percent(
            delay.percentage.as_ref(),
            &format!("{path}.percentage"),
            report,
        );
        if delay.percent.is_some() {
            report.warn(
                format!("{path}.percent"),
                deprecated("percent", "percentage.value"),
            );
        }
        match (&delay.fixed_delay, &delay.exponential_delay) {
            (Some(text), None) => {
                report.take(&format!("{path}.fixedDelay"), duration::positive(text));
            }
            (None, None) => report.invalid(
                path,
                Fault::new("MissingField", "`fixedDelay` is required", "add it"),
            ),
            (_, Some(_)) => report.invalid(
                format!("{path}.exponentialDelay"),
                Fault::new(
                    "UnsupportedField",
                    "exponentialDelay was never supported",
                    "use fixedDelay",
                ),
            ),
        }
    }
    if let Some(abort) = &fault.abort {
        let path = format!("{path}.abort");
        percent(
            abort.percentage.as_ref(),
            &format!("{path}.percentage"),
            report,
        );
        match (&abort.http_status, &abort.grpc_status, &abort.http2_error) {
            (Some(_), None, None) => {}
            (None, Some(status), None) => {
                if !GRPC_STATUSES.contains(&status.as_str()) {
                    report.invalid(
                        format!("{path}.grpcStatus"),
                        Fault::new(
                            "UnknownValue",
                            format!("`{status}` is not the name of a gRPC status"),
                            "use its name in capitals, for example UNAVAILABLE",
                        ),
                    );
                }
            }
            (_, _, Some(_)) => report.invalid(
                format!("{path}.http2Error"),
                Fault::new(
                    "UnsupportedField",
                    "http2Error was never supported",
                    "use httpStatus or grpcStatus",
                ),
            ),
            (None, None, None) => report.invalid(
                path,
                Fault::new(
                    "MissingField",
                    "the abort has no status",
                    "give httpStatus or grpcStatus",
                ),
            ),
            (Some(_), Some(_), None) => report.invalid(
                path,
                Fault::new(
                    "ConflictingActions",
                    "an abort cannot have both httpStatus and grpcStatus",
                    "keep one of the two",
                ),
            ),
        }
    }
}
