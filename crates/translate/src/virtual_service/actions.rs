//! What a rule does beside forwarding: checked in full, and not enforced yet.
//!
//! Long because: each field's rules stand beside the others that they exclude.

use super::{matching, route};
use crate::{
    Context, duration, names,
    report::{Fault, Report},
};
use weft_crds::{
    http_match::HttpMatchRequest,
    http_route::{
        CorsPolicy, Headers, HttpDirectResponse, HttpFaultInjection, HttpRedirect, HttpRetry,
        HttpRewrite, HttpRoute, Percent,
    },
    string_match::StringMatch,
};
use weft_model::policy::PolicyMeta;

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

/// Statuses that a client follows as a redirect.
const REDIRECT_CODES: [u16; 5] = [301, 302, 303, 307, 308];

/// Largest body of a direct response, in bytes, and the size from which it is a warning.
const BODY_MAX_BYTES: usize = 1 << 20;
const BODY_LARGE_BYTES: usize = 100 * 1024;

/// Checks everything but match, route and timeout.
pub(super) fn check(
    meta: &PolicyMeta,
    rule: &HttpRoute,
    path: &str,
    context: &Context,
    report: &mut Report,
) {
    exclusions(rule, path, report);
    if let Some(redirect) = &rule.redirect {
        self::redirect(redirect, &rule.matches, &format!("{path}.redirect"), report);
    }
    if let Some(response) = &rule.direct_response {
        direct_response(response, &format!("{path}.directResponse"), report);
    }
    if let Some(delegate) = &rule.delegate
        && delegate.name.as_deref().is_none_or(str::is_empty)
    {
        report.invalid(
            format!("{path}.delegate.name"),
            Fault::new(
                "MissingField",
                "a delegate has no name",
                "name the VirtualService",
            ),
        );
    }
    if let Some(rewrite) = &rule.rewrite {
        self::rewrite(rewrite, &format!("{path}.rewrite"), report);
    }
    if let Some(retries) = &rule.retries {
        self::retries(retries, &format!("{path}.retries"), report);
    }
    if let Some(fault) = &rule.fault {
        faults(fault, &format!("{path}.fault"), report);
    }
    mirrors(meta, rule, path, context, report);
    if let Some(cors) = &rule.cors_policy {
        self::cors(cors, &format!("{path}.corsPolicy"), report);
    }
    let mut authorities = usize::from(
        rule.rewrite
            .as_ref()
            .is_some_and(|it| it.authority.as_deref().is_some_and(|it| !it.is_empty())),
    );
    if let Some(headers) = &rule.headers {
        authorities += header_operations(headers, &format!("{path}.headers"), report);
    }
    for (index, destination) in rule.route.iter().enumerate() {
        if let Some(headers) = &destination.headers {
            let path = format!("{path}.route[{index}].headers");
            let here = header_operations(headers, &path, report);
            if here > 0 && authorities > 0 {
                report.invalid(path, twice());
            }
        }
    }
    if authorities > 1 {
        report.invalid(format!("{path}.headers"), twice());
    }
}

fn twice() -> Fault {
    Fault::new(
        "ConflictingAuthority",
        "the authority is changed in more than one place",
        "keep one of rewrite.authority and the header operations on host",
    )
}

fn exclusions(rule: &HttpRoute, path: &str, report: &mut Report) {
    let mut conflict = |field: &str, reason: &str| {
        report.invalid(
            format!("{path}.{field}"),
            Fault::new("ConflictingActions", reason, "keep one of the two"),
        );
    };
    if rule.redirect.is_some() {
        if !rule.route.is_empty() {
            conflict("redirect", "a rule cannot have both redirect and route");
        }
        if rule.rewrite.is_some() {
            conflict("rewrite", "a rule cannot have both redirect and rewrite");
        }
        if rule.direct_response.is_some() {
            conflict(
                "directResponse",
                "a rule cannot have both redirect and directResponse",
            );
        }
    }
    if rule.direct_response.is_some() {
        if !rule.route.is_empty() {
            conflict(
                "directResponse",
                "a rule cannot have both directResponse and route",
            );
        }
        if rule.fault.is_some() {
            conflict("fault", "a rule cannot have both directResponse and fault");
        }
        if rule.rewrite.is_some() {
            conflict(
                "rewrite",
                "a rule cannot have both directResponse and rewrite",
            );
        }
    }
    if rule.delegate.is_some() && (!rule.route.is_empty() || rule.redirect.is_some()) {
        conflict(
            "delegate",
            "a rule with a delegate has neither route nor redirect",
        );
    }
    if rule.mirror.is_some() && !rule.mirrors.is_empty() {
        conflict("mirrors", "a rule cannot have both mirror and mirrors");
    }
}

fn redirect(
    redirect: &HttpRedirect,
    matches: &[HttpMatchRequest],
    path: &str,
    report: &mut Report,
) {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(&redirect.uri) && given(&redirect.prefix_rewrite) {
        report.invalid(
            format!("{path}.prefixRewrite"),
            Fault::new(
                "ConflictingActions",
                "a redirect cannot have both uri and prefixRewrite",
                "keep one of the two",
            ),
        );
    }
    let prefix =
        |block: &HttpMatchRequest| block.uri.as_ref().is_some_and(|uri| uri.prefix.is_some());
    let matched = !matches.is_empty() && matches.iter().all(prefix);
    if given(&redirect.prefix_rewrite) && !matched {
        report.invalid(
            format!("{path}.prefixRewrite"),
            Fault::new(
                "NoPrefix",
                "prefixRewrite replaces a matched prefix, and a match has none",
                "match on uri.prefix, or use redirect.uri",
            ),
        );
    }
    let changes = given(&redirect.uri)
        || given(&redirect.prefix_rewrite)
        || given(&redirect.authority)
        || given(&redirect.scheme)
        || redirect.port.is_some()
        || redirect.derive_port.is_some();
    if !changes {
        report.invalid(
            path,
            Fault::new(
                "EmptyAction",
                "the redirect leads to where the request was",
                "give one of uri, prefixRewrite, authority, port and scheme",
            ),
        );
    }
    if redirect.port.is_some() && redirect.derive_port.is_some() {
        report.invalid(
            format!("{path}.derivePort"),
            Fault::new(
                "ConflictingActions",
                "a redirect cannot have both port and derivePort",
                "keep one of the two",
            ),
        );
    }
    if let Some(scheme) = redirect.scheme.as_deref().filter(|it| !it.is_empty())
        && !matches!(scheme, "http" | "https")
    {
        report.invalid(
            format!("{path}.scheme"),
            Fault::new(
                "UnknownValue",
                format!("`{scheme}` is not a scheme to redirect to"),
                "use http or https",
            ),
        );
    }
    if let Some(code) = redirect.redirect_code
        && !REDIRECT_CODES.contains(&code)
    {
        report.invalid(
            format!("{path}.redirectCode"),
            Fault::new(
                "UnknownValue",
                format!("{code} is not a status that clients follow"),
                "use 301, 302, 303, 307 or 308",
            ),
        );
    }
}

fn direct_response(response: &HttpDirectResponse, path: &str, report: &mut Report) {
    if !(200..=600).contains(&response.status) {
        report.invalid(
            format!("{path}.status"),
            Fault::new(
                "OutOfBounds",
                "the status is no HTTP status",
                "use 200 to 600",
            ),
        );
    }
    let Some(body) = &response.body else {
        return;
    };
    let path = format!("{path}.body");
    let bytes = body
        .string
        .as_ref()
        .or(body.bytes.as_ref())
        .map_or(0, String::len);
    match (&body.string, &body.bytes) {
        (Some(_), Some(_)) => report.invalid(
            path.clone(),
            Fault::new(
                "ConflictingActions",
                "a body cannot have both string and bytes",
                "keep one of the two",
            ),
        ),
        (None, None) => report.invalid(
            path.clone(),
            Fault::new(
                "EmptyAction",
                "the body says nothing",
                "give string, or leave it out",
            ),
        ),
        _ => {}
    }
    if bytes > BODY_MAX_BYTES {
        report.invalid(
            path,
            Fault::new(
                "OutOfBounds",
                "the body has more than 1 MiB",
                "serve it from a workload",
            ),
        );
    } else if bytes > BODY_LARGE_BYTES {
        report.warn(
            path,
            Fault::new(
                "LargeBody",
                "the body has more than 100 kB, and every proxy keeps it in memory",
                "serve it from a workload",
            ),
        );
    }
}

fn rewrite(rewrite: &HttpRewrite, path: &str, report: &mut Report) {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(&rewrite.uri) && rewrite.uri_regex_rewrite.is_some() {
        report.invalid(
            format!("{path}.uriRegexRewrite"),
            Fault::new(
                "ConflictingActions",
                "a rewrite cannot have both uri and uriRegexRewrite",
                "keep one of the two",
            ),
        );
    }
    if !given(&rewrite.uri) && !given(&rewrite.authority) && rewrite.uri_regex_rewrite.is_none() {
        report.invalid(
            path,
            Fault::new(
                "EmptyAction",
                "the rewrite changes nothing",
                "give uri, authority or uriRegexRewrite",
            ),
        );
    }
    if let Some(regex) = &rewrite.uri_regex_rewrite {
        let path = format!("{path}.uriRegexRewrite");
        match regex.matches.as_deref() {
            None | Some("") => report.invalid(
                format!("{path}.match"),
                Fault::new("MissingField", "`match` is required", "add it"),
            ),
            Some(text) => {
                report.take(&format!("{path}.match"), matching::pattern(text));
            }
        }
        if regex.rewrite.is_none() {
            report.invalid(
                format!("{path}.rewrite"),
                Fault::new("MissingField", "`rewrite` is required", "add it"),
            );
        }
    }
}

/// Checks retries; `MeshConfig` has them too.
pub(crate) fn retries(retries: &HttpRetry, path: &str, report: &mut Report) {
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

fn percent(percent: Option<&Percent>, path: &str, report: &mut Report) {
    if let Some(percent) = percent
        && !(0.0..=100.0).contains(&percent.value)
    {
        report.invalid(
            format!("{path}.value"),
            Fault::new(
                "OutOfBounds",
                format!("{} is no percentage", percent.value),
                "use 0 to 100",
            ),
        );
    }
}

fn faults(fault: &HttpFaultInjection, path: &str, report: &mut Report) {
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

fn deprecated(old: &str, new: &str) -> Fault {
    Fault::new(
        "DeprecatedField",
        format!("`{old}` is deprecated"),
        format!("use `{new}`"),
    )
}

fn mirrors(
    meta: &PolicyMeta,
    rule: &HttpRoute,
    path: &str,
    context: &Context,
    report: &mut Report,
) {
    if let Some(mirror) = &rule.mirror {
        route::destination(meta, mirror, &format!("{path}.mirror"), context, report);
    }
    for (name, given) in [
        ("mirrorPercent", rule.mirror_percent),
        ("mirror_percent", rule.mirror_percent_snake),
    ] {
        if given.is_some() {
            report.warn(
                format!("{path}.{name}"),
                deprecated(name, "mirrorPercentage.value"),
            );
        }
    }
    percent(
        rule.mirror_percentage.as_ref(),
        &format!("{path}.mirrorPercentage"),
        report,
    );
    for (index, mirror) in rule.mirrors.iter().enumerate() {
        let path = format!("{path}.mirrors[{index}]");
        route::destination(
            meta,
            &mirror.destination,
            &format!("{path}.destination"),
            context,
            report,
        );
        percent(
            mirror.percentage.as_ref(),
            &format!("{path}.percentage"),
            report,
        );
    }
}

fn cors(cors: &CorsPolicy, path: &str, report: &mut Report) {
    const METHODS: [&str; 10] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*",
    ];
    if !cors.allow_origin.is_empty() {
        report.warn(
            format!("{path}.allowOrigin"),
            deprecated("allowOrigin", "allowOrigins"),
        );
    }
    for (index, origin) in cors.allow_origins.iter().enumerate() {
        let path = format!("{path}.allowOrigins[{index}]");
        if *origin == StringMatch::default() || origin.prefix.as_deref() == Some("") {
            report.invalid(
                path,
                Fault::new(
                    "EmptyMatch",
                    "the origin says nothing",
                    "give exact, prefix or regex",
                ),
            );
        } else if let Some(regex) = &origin.regex {
            report.take(&format!("{path}.regex"), matching::pattern(regex));
        }
    }
    for (index, method) in cors.allow_methods.iter().enumerate() {
        if !METHODS.contains(&method.as_str()) {
            report.invalid(
                format!("{path}.allowMethods[{index}]"),
                Fault::new(
                    "UnknownValue",
                    format!("`{method}` is not a method"),
                    format!("use one of {}", METHODS.join(", ")),
                ),
            );
        }
    }
    for (name, headers) in [
        ("allowHeaders", &cors.allow_headers),
        ("exposeHeaders", &cors.expose_headers),
    ] {
        for (index, header) in headers.iter().enumerate() {
            if let Err(fault) = names::header_name(header) {
                report.invalid(format!("{path}.{name}[{index}]"), fault);
            }
        }
    }
    if let Some(text) = &cors.max_age
        && let Some(age) = report.take(&format!("{path}.maxAge"), duration::positive(text))
        && age.subsec_nanos() != 0
    {
        report.invalid(
            format!("{path}.maxAge"),
            Fault::new(
                "InvalidDuration",
                "maxAge is more precise than 1s",
                "give whole seconds",
            ),
        );
    }
}

/// Checks header operations; how often they change the authority.
fn header_operations(headers: &Headers, path: &str, report: &mut Report) -> usize {
    let is_authority =
        |name: &str| name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority");
    let mut authorities = 0;
    let sides = [
        ("request", headers.request.as_ref()),
        ("response", headers.response.as_ref()),
    ];
    for (side, operations) in sides {
        let Some(operations) = operations else {
            continue;
        };
        let path = format!("{path}.{side}");
        for (operation, pairs) in [("set", &operations.set), ("add", &operations.add)] {
            for (name, value) in pairs {
                let path = format!("{path}.{operation}[{name}]");
                if is_authority(name) && side == "request" {
                    authorities += 1;
                } else if let Err(fault) = names::header_name(name) {
                    report.invalid(path.clone(), fault);
                }
                if let Err(fault) = names::header_value(value) {
                    report.invalid(path, fault);
                }
            }
        }
        for (index, name) in operations.remove.iter().enumerate() {
            if is_authority(name) || !names::is_header_name(name) {
                report.invalid(
                    format!("{path}.remove[{index}]"),
                    Fault::new(
                        "InvalidHeaderName",
                        format!("`{name}` is not a header that can be removed"),
                        "use letters, digits and `-`; the authority cannot be removed",
                    ),
                );
            }
        }
    }
    authorities
}
