//! DestinationRule: subsets, load balancing, mutual TLS, and what is refused.

use crate::{check, document, translate};
use weft_crds::kind::Kind;
use weft_model::{
    cluster::{LoadBalance, UpstreamTls},
    policy::{DestinationRule, Policy},
};

fn value(spec: &str) -> DestinationRule {
    let translated = translate(&document(Kind::DestinationRule, spec));
    match translated.value {
        Some(Policy::DestinationRule(it)) => it,
        other => panic!("{other:?} {:?}", translated.problems),
    }
}

#[test]
fn load_balancers_are_translated() {
    let cases = [
        ("{simple: UNSPECIFIED}", Some(LoadBalance::Ewma)),
        ("{simple: LEAST_REQUEST}", Some(LoadBalance::LeastRequest)),
        ("{simple: LEAST_CONN}", Some(LoadBalance::LeastRequest)),
        ("{simple: ROUND_ROBIN}", Some(LoadBalance::RoundRobin)),
        ("{simple: RANDOM}", Some(LoadBalance::Random)),
        ("{simple: PASSTHROUGH}", Some(LoadBalance::Ewma)),
        ("{consistentHash: {useSourceIp: true}}", None),
        ("{}", None),
    ];
    for (text, expected) in cases {
        let it = value(&format!(
            "{{host: a, trafficPolicy: {{loadBalancer: {text}}}, subsets: [{{name: v1, labels: {{v: v1}}, trafficPolicy: {{loadBalancer: {text}}}}}]}}"
        ));
        assert_eq!(it.traffic.load_balance, expected, "{text}");
        assert_eq!(it.subsets[0].traffic.load_balance, expected, "{text}");
    }
}

#[test]
fn tls_modes_are_translated() {
    let cases = [
        ("ISTIO_MUTUAL", UpstreamTls::Mutual),
        ("DISABLE", UpstreamTls::Disable),
    ];
    for (mode, expected) in cases {
        let it = value(&format!(
            "{{host: a, trafficPolicy: {{tls: {{mode: {mode}}}}}}}"
        ));
        assert_eq!(it.traffic.tls, Some(expected));
    }
    assert_eq!(value("{host: a}").traffic.tls, None);
}

#[test]
fn hosts_and_subsets_are_translated() {
    let it = value(
        "{host: a, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}",
    );
    assert_eq!(it.host.to_string(), "a.shop.svc.cluster.local");
    assert_eq!(it.subsets[1].name, "v2");
    assert_eq!(it.subsets[1].labels["version"], "v2");
    assert_eq!(
        value("{host: '*.shop.svc.cluster.local'}").host.to_string(),
        "*.shop.svc.cluster.local"
    );
}

#[test]
fn fields_have_problems() {
    let cases: &[(&str, &[&str])] = &[
        ("{}", &["Invalid MissingField spec.host"]),
        ("{host: 'a b'}", &["Invalid InvalidHost spec.host"]),
        ("{host: 'a*'}", &["Invalid InvalidHost spec.host"]),
        (
            "{host: a, exportTo: ['.']}",
            &["Held NotYetEnforced spec.exportTo"],
        ),
        (
            "{host: a, workloadSelector: {matchLabels: {app: web}}}",
            &["Held NotYetEnforced spec.workloadSelector"],
        ),
        (
            "{host: a, workloadSelector: {matchLabels: {app: '*'}}}",
            &[
                "Held NotYetEnforced spec.workloadSelector",
                "Invalid InvalidLabel spec.workloadSelector.matchLabels[app]",
            ],
        ),
        (
            "{host: a, subsets: [{labels: {v: a}}]}",
            &["Invalid MissingField spec.subsets[0].name"],
        ),
        (
            "{host: a, subsets: [{name: v_1, labels: {v: a}}]}",
            &["Invalid InvalidName spec.subsets[0].name"],
        ),
        (
            "{host: a, subsets: [{name: v1}]}",
            &["Warning NoLabels spec.subsets[0].labels"],
        ),
        (
            "{host: a, subsets: [{name: v1, labels: {v: a}}, {name: v1, labels: {v: b}}]}",
            &["Invalid DuplicateSubset spec.subsets[1].name"],
        ),
        (
            "{host: a, subsets: [{name: v1, labels: {'a b': c}}]}",
            &["Invalid InvalidLabel spec.subsets[0].labels[a b]"],
        ),
        (
            "{host: a, subsets: [{name: v1, labels: {v: 1}}]}",
            &["Invalid WrongType spec.subsets[0].labels[v]"],
        ),
        (
            "{host: a, trafficPolicy: {}}",
            &["Invalid EmptyPolicy spec.trafficPolicy"],
        ),
        (
            "{host: a, trafficPolicy: {tls: {}}}",
            &["Warning NoMode spec.trafficPolicy.tls.mode"],
        ),
        (
            "{host: a, trafficPolicy: {tls: {mode: TLS}}}",
            &["Invalid UnknownValue spec.trafficPolicy.tls.mode"],
        ),
        (
            "{host: a, trafficPolicy: {tls: {mode: SIMPLE}}}",
            &["Held NotYetEnforced spec.trafficPolicy.tls.mode"],
        ),
        (
            "{host: a, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: b}}}",
            &["Held NotYetEnforced spec.trafficPolicy.tls.sni"],
        ),
        (
            "{host: a, trafficPolicy: {tls: {mode: MUTUAL}}}",
            &[
                "Invalid MissingField spec.trafficPolicy.tls.clientCertificate",
                "Held NotYetEnforced spec.trafficPolicy.tls.mode",
                "Invalid MissingField spec.trafficPolicy.tls.privateKey",
            ],
        ),
        (
            "{host: a, trafficPolicy: {loadBalancer: {simple: LEAST_CONN}}}",
            &["Warning DeprecatedValue spec.trafficPolicy.loadBalancer.simple"],
        ),
        (
            "{host: a, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}",
            &["NotEnforced NotYetEnforced spec.trafficPolicy.loadBalancer.simple"],
        ),
        (
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}}",
            &["NotEnforced NotYetEnforced spec.trafficPolicy.loadBalancer.consistentHash"],
        ),
        (
            "{host: a, trafficPolicy: {loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.loadBalancer.consistentHash",
                "Invalid ConflictingFields spec.trafficPolicy.loadBalancer.consistentHash",
            ],
        ),
        (
            "{host: a, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 100}}}}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.loadBalancer.consistentHash",
                "Invalid OutOfBounds spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize",
            ],
        ),
        (
            "{host: a, trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 50}}]}}}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.loadBalancer.localityLbSetting",
                "Invalid OutOfBounds spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to",
            ],
        ),
        (
            "{host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}",
            &["NotEnforced NotYetEnforced spec.trafficPolicy.connectionPool"],
        ),
        (
            "{host: a, trafficPolicy: {connectionPool: {}}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.connectionPool",
                "Invalid EmptyPolicy spec.trafficPolicy.connectionPool",
            ],
        ),
        (
            "{host: a, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 0s, connectTimeout: 0s}}}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.connectionPool",
                "Invalid InvalidDuration spec.trafficPolicy.connectionPool.tcp.connectTimeout",
            ],
        ),
        (
            "{host: a, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}}",
            &["NotEnforced NotYetEnforced spec.trafficPolicy.outlierDetection"],
        ),
        (
            "{host: a, trafficPolicy: {outlierDetection: {consecutiveLocalOriginFailures: 5}}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.outlierDetection",
                "Invalid MissingField spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures",
            ],
        ),
        (
            "{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}",
            &["NotEnforced NotYetEnforced spec.trafficPolicy.portLevelSettings"],
        ),
        (
            "{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.portLevelSettings",
                "Held NotYetEnforced spec.trafficPolicy.portLevelSettings[0].tls",
            ],
        ),
        (
            "{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 80}}]}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.portLevelSettings",
                "Invalid EmptyPolicy spec.trafficPolicy.portLevelSettings[0]",
            ],
        ),
        (
            "{host: a, trafficPolicy: {retryBudget: {percent: 20}}}",
            &["NotEnforced NotYetEnforced spec.trafficPolicy.retryBudget"],
        ),
        (
            "{host: a, trafficPolicy: {proxyProtocol: {}, tunnel: {targetHost: a, targetPort: 1}}}",
            &[
                "NotEnforced NotYetEnforced spec.trafficPolicy.proxyProtocol",
                "Invalid ConflictingFields spec.trafficPolicy.proxyProtocol",
                "NotEnforced NotYetEnforced spec.trafficPolicy.tunnel",
            ],
        ),
        (
            "{host: a, subsets: [{name: v1, labels: {v: a}, trafficPolicy: {outlierDetection: {}}}]}",
            &["NotEnforced NotYetEnforced spec.subsets[0].trafficPolicy.outlierDetection"],
        ),
        (
            "{host: a, subsets: [{name: v1, labels: {v: a}, trafficPolicy: {tls: {mode: SIMPLE}}}]}",
            &["Held NotYetEnforced spec.subsets[0].trafficPolicy.tls.mode"],
        ),
    ];
    for (spec, expected) in cases {
        check(Kind::DestinationRule, spec, expected);
    }
}
