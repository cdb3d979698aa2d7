//! The blocks of a traffic policy that are not enforced yet, checked as if they were.
//!
//! Long because: each block has a few rules of its own, and they share how they are said.

use crate::{
    duration, names,
    report::{Fault, Report},
};
use std::collections::BTreeSet;
use weft_crds::{
    destination_rule::DestinationRuleSpec,
    traffic_policy::{
        ClientTlsSettings, ConnectionPoolSettings, ConsistentHash, Failover, H2UpgradePolicy,
        LoadBalancerSettings, OutlierDetection, PortTrafficPolicy, TlsMode, TrafficPolicy,
    },
};

/// Maglev's tables are at most this large.
const MAGLEV_MAX: u64 = 5_000_011;

/// Checks every block.
pub(super) fn blocks(policy: &TrafficPolicy, path: &str, report: &mut Report) {
    common(
        policy.load_balancer.as_ref(),
        policy.connection_pool.as_ref(),
        policy.outlier_detection.as_ref(),
        policy.tls.as_ref(),
        path,
        report,
    );
    let mut ports = BTreeSet::new();
    for (index, settings) in policy.port_level_settings.iter().enumerate() {
        let path = format!("{path}.portLevelSettings[{index}]");
        let number = settings.port.as_ref().and_then(|port| port.number);
        match number {
            None | Some(0) => report.invalid(
                format!("{path}.port.number"),
                Fault::new(
                    "MissingField",
                    "the settings name no port",
                    "add port.number",
                ),
            ),
            Some(number) if !ports.insert(number) => report.invalid(
                format!("{path}.port.number"),
                Fault::new(
                    "DuplicatePort",
                    format!("port {number} has settings already"),
                    "say all of a port in one entry",
                ),
            ),
            Some(_) => {}
        }
        let without_port = PortTrafficPolicy {
            port: None,
            ..settings.clone()
        };
        if without_port == PortTrafficPolicy::default() {
            report.invalid(
                &path,
                Fault::new(
                    "EmptyPolicy",
                    "the settings of the port are empty",
                    "give them a block",
                ),
            );
        }
        common(
            settings.load_balancer.as_ref(),
            settings.connection_pool.as_ref(),
            settings.outlier_detection.as_ref(),
            settings.tls.as_ref(),
            &path,
            report,
        );
    }
    if policy.tunnel.is_some() && policy.proxy_protocol.is_some() {
        report.invalid(
            format!("{path}.proxyProtocol"),
            conflict("a policy cannot have both tunnel and proxyProtocol"),
        );
    }
    if let Some(protocol) = policy.tunnel.as_ref().and_then(|it| it.protocol.as_deref())
        && !matches!(protocol, "" | "CONNECT" | "POST")
    {
        report.invalid(
            format!("{path}.tunnel.protocol"),
            Fault::new(
                "UnknownValue",
                format!("`{protocol}` is not a tunnel protocol"),
                "use CONNECT or POST",
            ),
        );
    }
    if let Some(interval) = policy
        .retry_budget
        .as_ref()
        .and_then(|it| it.budget_interval.as_ref())
    {
        report.take(
            &format!("{path}.retryBudget.budgetInterval"),
            duration::or_zero(interval),
        );
    }
}

fn common(
    balancer: Option<&LoadBalancerSettings>,
    pool: Option<&ConnectionPoolSettings>,
    outliers: Option<&OutlierDetection>,
    tls: Option<&ClientTlsSettings>,
    path: &str,
    report: &mut Report,
) {
    if let Some(balancer) = balancer {
        load_balancer(balancer, &format!("{path}.loadBalancer"), report);
    }
    if let Some(pool) = pool {
        connection_pool(pool, &format!("{path}.connectionPool"), report);
    }
    if let Some(outliers) = outliers {
        outlier_detection(outliers, &format!("{path}.outlierDetection"), report);
    }
    if let Some(settings) = tls {
        self::tls(settings, &format!("{path}.tls"), report);
    }
}

fn conflict(reason: &str) -> Fault {
    Fault::new("ConflictingFields", reason, "keep one of the two")
}

fn load_balancer(settings: &LoadBalancerSettings, path: &str, report: &mut Report) {
    if settings.simple.is_some() && settings.consistent_hash.is_some() {
        report.invalid(
            format!("{path}.consistentHash"),
            conflict("a load balancer cannot have both simple and consistentHash"),
        );
    }
    if let Some(hash) = &settings.consistent_hash {
        consistent_hash(hash, &format!("{path}.consistentHash"), report);
    }
    if settings.locality_lb_setting.is_some() && settings.zone_aware_lb_setting.is_some() {
        report.invalid(
            format!("{path}.zoneAwareLbSetting"),
            conflict("a load balancer cannot have both localityLbSetting and zoneAwareLbSetting"),
        );
    }
    if let Some(locality) = &settings.locality_lb_setting {
        let path = format!("{path}.localityLbSetting");
        let fails_over = !locality.failover.is_empty() || !locality.failover_priority.is_empty();
        if fails_over && !locality.distribute.is_empty() {
            report.invalid(
                format!("{path}.failover"),
                conflict("only one of distribute and failover can be set"),
            );
        }
        for (index, distribute) in locality.distribute.iter().enumerate() {
            let sum: u64 = distribute.to.values().map(|share| u64::from(*share)).sum();
            let zero = distribute
                .to
                .values()
                .any(|share| *share == 0 || *share > 100);
            if sum != 100 || zero {
                report.invalid(
                    format!("{path}.distribute[{index}].to"),
                    Fault::new(
                        "OutOfBounds",
                        format!("the shares make {sum}, not 100"),
                        "give each locality 1 to 100, 100 in all",
                    ),
                );
            }
        }
        failover(&locality.failover, &path, report);
    }
    if let Some(zones) = &settings.zone_aware_lb_setting {
        failover(
            &zones.failover,
            &format!("{path}.zoneAwareLbSetting"),
            report,
        );
    }
    if let Some(warmup) = &settings.warmup {
        let path = format!("{path}.warmup");
        report.take(
            &format!("{path}.duration"),
            duration::positive(&warmup.duration),
        );
        if warmup.aggression == Some(0.0) {
            report.invalid(
                format!("{path}.aggression"),
                Fault::new(
                    "OutOfBounds",
                    "the aggression must be more than 0",
                    "use 1 for a linear start",
                ),
            );
        }
    }
    if let Some(text) = &settings.warmup_duration_secs {
        let path = format!("{path}.warmupDurationSecs");
        report.take(&path, duration::positive(text));
        report.warn(
            path,
            Fault::new(
                "DeprecatedField",
                "`warmupDurationSecs` is deprecated",
                "use `warmup.duration`",
            ),
        );
    }
}

fn failover(failover: &[Failover], path: &str, report: &mut Report) {
    for (index, it) in failover.iter().enumerate() {
        let path = format!("{path}.failover[{index}]");
        if it.from == it.to {
            report.invalid(
                &path,
                Fault::new(
                    "SameRegion",
                    "a region fails over to itself",
                    "name another region",
                ),
            );
        }
        let regions = [("from", &it.from), ("to", &it.to)];
        for (name, region) in regions {
            if region.as_deref().is_some_and(|it| it.contains(['/', '*'])) {
                report.invalid(
                    format!("{path}.{name}"),
                    Fault::new(
                        "InvalidName",
                        "failover is between regions",
                        "name a region alone",
                    ),
                );
            }
        }
    }
}

fn consistent_hash(hash: &ConsistentHash, path: &str, report: &mut Report) {
    let keys = usize::from(hash.http_header_name.is_some())
        + usize::from(hash.http_cookie.is_some())
        + usize::from(hash.use_source_ip.is_some())
        + usize::from(hash.http_query_parameter_name.is_some());
    if keys != 1 {
        report.invalid(
            path,
            Fault::new(
                "ConflictingFields",
                format!("the hash has {keys} keys, and needs one"),
                "give one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName",
            ),
        );
    }
    if let Some(name) = &hash.http_header_name {
        report.take(&format!("{path}.httpHeaderName"), names::header_name(name));
    }
    if let Some(cookie) = &hash.http_cookie {
        let path = format!("{path}.httpCookie");
        if let Some(ttl) = &cookie.ttl {
            report.take(&format!("{path}.ttl"), duration::or_zero(ttl));
        }
        let mut seen = BTreeSet::new();
        for (index, attribute) in cookie.attributes.iter().enumerate() {
            if !seen.insert(&attribute.name) {
                report.invalid(
                    format!("{path}.attributes[{index}].name"),
                    Fault::new(
                        "DuplicateName",
                        "the attribute is there already",
                        "remove one",
                    ),
                );
            }
        }
    }
    if hash.ring_hash.is_some() && hash.maglev.is_some() {
        report.invalid(
            format!("{path}.maglev"),
            conflict("a hash cannot have both ringHash and maglev"),
        );
    }
    if hash.minimum_ring_size.is_some() {
        let path = format!("{path}.minimumRingSize");
        if hash.ring_hash.is_some() || hash.maglev.is_some() {
            report.invalid(&path, conflict("the older minimumRingSize stands alone"));
        }
        report.warn(
            path,
            Fault::new(
                "DeprecatedField",
                "`minimumRingSize` is deprecated",
                "use `ringHash.minimumRingSize`",
            ),
        );
    }
    if let Some(size) = hash.maglev.as_ref().and_then(|it| it.table_size)
        && (size >= MAGLEV_MAX || !is_prime(size))
    {
        report.invalid(
            format!("{path}.maglev.tableSize"),
            Fault::new(
                "OutOfBounds",
                format!("{size} is not a prime below {MAGLEV_MAX}"),
                "use for example 65537",
            ),
        );
    }
}

/// For numbers below [`MAGLEV_MAX`].
fn is_prime(number: u64) -> bool {
    number > 1
        && (2..)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor: u64| !number.is_multiple_of(divisor))
}

fn connection_pool(pool: &ConnectionPoolSettings, path: &str, report: &mut Report) {
    if pool.tcp.is_none() && pool.http.is_none() {
        report.invalid(
            path,
            Fault::new(
                "EmptyPolicy",
                "the connection pool is empty",
                "give tcp or http",
            ),
        );
    }
    if let Some(tcp) = &pool.tcp {
        let path = format!("{path}.tcp");
        let keepalive = tcp.tcp_keepalive.as_ref();
        for (name, text) in [
            ("connectTimeout", tcp.connect_timeout.as_ref()),
            (
                "maxConnectionDuration",
                tcp.max_connection_duration.as_ref(),
            ),
            (
                "tcpKeepalive.time",
                keepalive.and_then(|it| it.time.as_ref()),
            ),
            (
                "tcpKeepalive.interval",
                keepalive.and_then(|it| it.interval.as_ref()),
            ),
        ] {
            if let Some(text) = text {
                report.take(&format!("{path}.{name}"), duration::positive(text));
            }
        }
        if let Some(text) = &tcp.idle_timeout {
            report.take(&format!("{path}.idleTimeout"), duration::or_zero(text));
        }
    }
    if let Some(http) = &pool.http {
        let path = format!("{path}.http");
        if let Some(text) = &http.idle_timeout {
            report.take(&format!("{path}.idleTimeout"), duration::positive(text));
        }
        if http.h2_upgrade_policy == Some(H2UpgradePolicy::Upgrade)
            && http.use_client_protocol == Some(true)
        {
            report.invalid(
                format!("{path}.useClientProtocol"),
                conflict("useClientProtocol keeps the version that UPGRADE changes"),
            );
        }
        if let Some(pings) = &http.http2_keep_alive {
            let fields = [("interval", &pings.interval), ("timeout", &pings.timeout)];
            for (name, text) in fields {
                let path = format!("{path}.http2KeepAlive.{name}");
                match text {
                    Some(text) => {
                        report.take(&path, duration::positive(text));
                    }
                    None => report.invalid(
                        path,
                        Fault::new("MissingField", format!("`{name}` is required"), "add it"),
                    ),
                }
            }
        }
    }
}

fn outlier_detection(outliers: &OutlierDetection, path: &str, report: &mut Report) {
    for (name, text) in [
        ("interval", &outliers.interval),
        ("baseEjectionTime", &outliers.base_ejection_time),
    ] {
        if let Some(text) = text {
            report.take(&format!("{path}.{name}"), duration::positive(text));
        }
    }
    if outliers.consecutive_errors.is_some() {
        report.warn(
            format!("{path}.consecutiveErrors"),
            Fault::new(
                "DeprecatedField",
                "`consecutiveErrors` is deprecated and means consecutiveGatewayErrors: 502, 503 and 504",
                "use consecutiveGatewayErrors, or consecutive5xxErrors for every 5xx",
            ),
        );
    }
    if outliers.consecutive_local_origin_failures.is_some()
        && outliers.split_external_local_origin_errors != Some(true)
    {
        report.invalid(
            format!("{path}.consecutiveLocalOriginFailures"),
            Fault::new(
                "MissingField",
                "consecutiveLocalOriginFailures counts only what is split",
                "add splitExternalLocalOriginErrors: true",
            ),
        );
    }
}

fn tls(tls: &ClientTlsSettings, path: &str, report: &mut Report) {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let credential = given(&tls.credential_name);
    if credential
        && (given(&tls.client_certificate)
            || given(&tls.private_key)
            || given(&tls.ca_certificates)
            || given(&tls.ca_crl))
    {
        report.invalid(
            format!("{path}.credentialName"),
            conflict("credentialName and files exclude each other"),
        );
    }
    if tls.mode == Some(TlsMode::Mutual) && !credential {
        for (name, text) in [
            ("clientCertificate", &tls.client_certificate),
            ("privateKey", &tls.private_key),
        ] {
            if !given(text) {
                report.invalid(
                    format!("{path}.{name}"),
                    Fault::new(
                        "MissingField",
                        format!("mode MUTUAL needs {name}"),
                        "add it, or use ISTIO_MUTUAL for the mesh's identities",
                    ),
                );
            }
        }
    }
    if tls.insecure_skip_verify == Some(true)
        && (given(&tls.ca_certificates) || !tls.subject_alt_names.is_empty())
    {
        report.invalid(
            format!("{path}.insecureSkipVerify"),
            conflict("insecureSkipVerify and what would be verified exclude each other"),
        );
    }
}

/// A sidecar reads a Secret only for the workloads that the rule selects.
pub(super) fn tls_credential(
    policy: &TrafficPolicy,
    spec: &DestinationRuleSpec,
    path: &str,
    report: &mut Report,
) {
    let named = policy.tls.as_ref().is_some_and(|tls| {
        tls.credential_name
            .as_deref()
            .is_some_and(|it| !it.is_empty())
    });
    if named && spec.workload_selector.is_none() {
        report.invalid(
            format!("{path}.tls.credentialName"),
            Fault::new(
                "MissingField",
                "credentialName needs a workloadSelector",
                "add one, or use files",
            ),
        );
    }
}
