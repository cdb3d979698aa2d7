//! VirtualService: what each enforced field means, and what is refused.
//!
//! Long because: it is tables, a line a case.

use crate::{check, document, translate};
use weft_crds::kind::Kind;
use weft_model::{
    matching::{HeaderValueMatch, Matches, StringMatch},
    policy::{HttpRule, Policy, VirtualService},
};

fn value(spec: &str) -> VirtualService {
    let translated = translate(&document(Kind::VirtualService, spec));
    match translated.value {
        Some(Policy::VirtualService(it)) => it,
        other => panic!("{other:?} {:?}", translated.problems),
    }
}

/// One rule around a match block and fields of the rule.
fn rule(fields: &str) -> HttpRule {
    let spec =
        format!("{{hosts: [a], http: [{{{fields}, route: [{{destination: {{host: a}}}}]}}]}}");
    value(&spec).http.remove(0)
}

#[test]
fn hosts_are_completed() {
    let cases = [
        ("[reviews]", "reviews.shop.svc.cluster.local"),
        ("[reviews.prod]", "reviews.prod"),
        (
            "[Reviews.Prod.Svc.Cluster.Local]",
            "reviews.prod.svc.cluster.local",
        ),
        ("['*.example.com']", "*.example.com"),
        ("[10.0.0.1]", "10.0.0.1"),
    ];
    for (hosts, expected) in cases {
        let spec = format!("{{hosts: {hosts}, http: [{{route: [{{destination: {{host: a}}}}]}}]}}");
        assert_eq!(value(&spec).hosts[0].to_string(), expected);
    }
}

#[test]
fn gateways_say_whether_sidecars_are_meant() {
    let cases = [
        ("[]", true),
        ("[mesh]", true),
        ("[edge, mesh]", true),
        ("[edge]", false),
        ("[istio-system/edge]", false),
    ];
    for (gateways, mesh) in cases {
        let spec = format!(
            "{{hosts: [a], gateways: {gateways}, http: [{{route: [{{destination: {{host: a}}}}]}}]}}"
        );
        assert_eq!(value(&spec).mesh, mesh, "{gateways}");
    }
}

#[test]
fn a_match_for_other_gateways_does_not_reach_sidecars() {
    // One block of two: the other stays.
    let Matches::OneOf(blocks) =
        rule("match: [{uri: {exact: /a}, gateways: [edge]}, {uri: {exact: /b}}]").matches
    else {
        panic!("a catch-all");
    };
    assert_eq!(blocks.len(), 1);
    assert_eq!(
        blocks[0].request.uri.as_ref().unwrap().path,
        StringMatch::Exact("/b".to_owned())
    );
    // All blocks: the rule is not there at all, and nothing else of the object is either.
    let spec = "{hosts: [a], gateways: [mesh, edge], http: [{match: [{gateways: [edge]}], route: [{destination: {host: a}}]}]}";
    assert!(value(spec).http.is_empty());
    let Matches::OneOf(blocks) =
        rule("match: [{uri: {exact: /a}, gateways: [edge, mesh]}]").matches
    else {
        panic!("a catch-all");
    };
    assert_eq!(blocks.len(), 1);
}

#[test]
fn conditions_are_translated() {
    let block = |fields: &str| match rule(&format!("match: [{{{fields}}}]")).matches {
        Matches::OneOf(mut blocks) => blocks.remove(0),
        Matches::Any => panic!("a catch-all"),
    };
    let exact = |text: &str| StringMatch::Exact(text.to_owned());
    let prefix = |text: &str| StringMatch::Prefix(text.to_owned());
    let uri = block("uri: {prefix: /Api}, ignoreUriCase: true")
        .request
        .uri
        .unwrap();
    assert_eq!((uri.path, uri.ignore_case), (prefix("/Api"), true));
    let uri = block("uri: {prefix: ''}").request.uri.unwrap();
    assert_eq!((uri.path, uri.ignore_case), (prefix(""), false));
    let uri = block("uri: {regex: '/a/.*'}").request.uri.unwrap();
    assert!(
        matches!(uri.path, StringMatch::Regex(it) if it.matches(b"/a/b") && !it.matches(b"x/a/b"))
    );
    assert_eq!(
        block("method: {exact: GET}").request.method,
        Some(exact("GET"))
    );
    assert_eq!(
        block("authority: {prefix: a}").request.authority,
        Some(prefix("a"))
    );
    assert_eq!(block("port: 8080").port, Some(8080));
    assert_eq!(
        block("name: beta, port: 1").request.name.as_deref(),
        Some("beta")
    );
    let headers = block(
        "headers: {User-Type: {exact: beta}, x-any: {}, x-star: {regex: '*'}, x-id: {regex: '[0-9]+'}}",
    )
    .request
    .headers;
    let found: Vec<_> = headers.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(found, ["user-type", "x-any", "x-id", "x-star"]);
    assert_eq!(headers[0].value, HeaderValueMatch::Value(exact("beta")));
    assert_eq!(headers[1].value, HeaderValueMatch::Present);
    assert!(
        matches!(&headers[2].value, HeaderValueMatch::Value(StringMatch::Regex(it)) if it.matches(b"12"))
    );
    assert_eq!(headers[3].value, HeaderValueMatch::Present);
}

#[test]
fn a_rule_says_where_and_for_how_long() {
    let it = value(
        "{hosts: [a], http: [
           {name: canary, timeout: 1.5s, route: [
             {destination: {host: a, subset: v1, port: {number: 80}}, weight: 90},
             {destination: {host: b.prod.svc.cluster.local}, weight: 0}]},
           {match: [{port: 1}], route: [{destination: {host: a}}]}]}",
    );
    let first = &it.http[0];
    assert_eq!((first.index, first.name.as_deref()), (0, Some("canary")));
    assert_eq!(first.timeout, Some(std::time::Duration::from_millis(1500)));
    assert_eq!(first.matches, Matches::Any);
    let [a, b] = &first.destinations[..] else {
        panic!("{first:?}");
    };
    assert_eq!(a.host.as_str(), "a.shop.svc.cluster.local");
    assert_eq!(
        (a.index, a.subset.as_deref(), a.port, a.weight),
        (0, Some("v1"), Some(80), 90)
    );
    assert_eq!(b.host.as_str(), "b.prod.svc.cluster.local");
    assert_eq!(
        (b.index, b.subset.as_deref(), b.port, b.weight),
        (1, None, None, 0)
    );
    assert_eq!((it.http[1].index, it.http[1].timeout), (1, None));
    assert_eq!(it.http[1].destinations[0].weight, 0);
    assert_eq!((it.meta.generation, it.meta.created), (3, 7));
}

#[test]
fn an_unenforced_match_never_matches_and_never_becomes_a_catch_all() {
    for field in [
        "queryParams: {debug: {exact: '1'}}",
        "withoutHeaders: {x-a: {}}",
        "scheme: {exact: http}",
        "sourceLabels: {app: web}",
        "sourceNamespace: production",
    ] {
        let it = rule(&format!("match: [{{uri: {{prefix: /}}, {field}}}]"));
        assert_eq!(it.matches, Matches::OneOf(vec![]), "{field}");
        let it = rule(&format!("match: [{{{field}}}, {{uri: {{exact: /b}}}}]"));
        assert!(
            matches!(it.matches, Matches::OneOf(blocks) if blocks.len() == 1),
            "{field}"
        );
    }
}

/// Fields of one rule with a destination, and the problems they are.
#[test]
fn fields_of_a_rule_have_problems() {
    let cases: &[(&str, &[&str])] = &[
        ("timeout: 1s", &[]),
        (
            "timeout: 0s",
            &["Invalid InvalidDuration spec.http[0].timeout"],
        ),
        ("timeout: 1", &["Invalid WrongType spec.http[0].timeout"]),
        (
            "timeout: fast",
            &["Invalid InvalidDuration spec.http[0].timeout"],
        ),
        (
            "timeout: 1us",
            &["Invalid InvalidDuration spec.http[0].timeout"],
        ),
        ("timeot: 1s", &["Invalid UnknownField spec.http[0].timeot"]),
        (
            "websocketUpgrade: true",
            &["Warning RemovedField spec.http[0].websocketUpgrade"],
        ),
        (
            "appendHeaders: {a: b}",
            &["Warning RemovedField spec.http[0].appendHeaders"],
        ),
        ("match: [{}]", &["Invalid EmptyMatch spec.http[0].match[0]"]),
        (
            "match: [{uri: {}}]",
            &["Invalid EmptyMatch spec.http[0].match[0].uri"],
        ),
        (
            "match: [{uri: {exact: a, prefix: b}}]",
            &["Invalid ConflictingMatch spec.http[0].match[0].uri"],
        ),
        (
            "match: [{uri: {regex: '('}}]",
            &["Invalid InvalidRegex spec.http[0].match[0].uri.regex"],
        ),
        (
            "match: [{uri: {regex: '(?=a)'}}]",
            &["Invalid InvalidRegex spec.http[0].match[0].uri.regex"],
        ),
        (
            "match: [{uri: {regex: ''}}]",
            &["Invalid InvalidRegex spec.http[0].match[0].uri.regex"],
        ),
        (
            "match: [{uri: {exacty: /}}]",
            &[
                "Invalid EmptyMatch spec.http[0].match[0].uri",
                "Invalid UnknownField spec.http[0].match[0].uri.exacty",
            ],
        ),
        (
            "match: [{method: {prefix: ''}}]",
            &["Invalid EmptyPrefix spec.http[0].match[0].method.prefix"],
        ),
        (
            "match: [{method: {exact: true}}]",
            &["Invalid WrongType spec.http[0].match[0].method.exact"],
        ),
        (
            "match: [{authority: {prefix: ''}}]",
            &["Invalid EmptyPrefix spec.http[0].match[0].authority.prefix"],
        ),
        (
            "match: [{headers: {x: {prefix: ''}}}]",
            &["Invalid EmptyPrefix spec.http[0].match[0].headers[x].prefix"],
        ),
        (
            "match: [{headers: {'a b': {exact: c}}}]",
            &["Invalid InvalidHeaderName spec.http[0].match[0].headers[a b]"],
        ),
        (
            "match: [{headers: {x: null}}]",
            &["Invalid WrongType spec.http[0].match[0].headers[x]"],
        ),
        (
            "match: [{headers: {x: beta}}]",
            &["Invalid WrongType spec.http[0].match[0].headers[x]"],
        ),
        (
            "match: [{headers: {'@request.auth.claims.sub': {exact: a}}}]",
            &["Invalid InvalidHeaderName spec.http[0].match[0].headers[@request.auth.claims.sub]"],
        ),
        (
            "match: [{headers: {method: {exact: GET}, x: {exact: a}}}]",
            &["Warning NoEffect spec.http[0].match[0].headers[method]"],
        ),
        (
            "match: [{port: 0}]",
            &["Invalid OutOfBounds spec.http[0].match[0].port"],
        ),
        (
            "match: [{port: 65536}]",
            &["Invalid OutOfBounds spec.http[0].match[0].port"],
        ),
        (
            "match: [{port: http}]",
            &["Invalid WrongType spec.http[0].match[0].port"],
        ),
        (
            "match: [{uri: {regex: a}, ignoreUriCase: true}]",
            &["Warning NoEffect spec.http[0].match[0].ignoreUriCase"],
        ),
        (
            "match: [{uri: {exact: a}, gateways: ['a b']}]",
            &["Invalid InvalidGateway spec.http[0].match[0].gateways[0]"],
        ),
        (
            "match: [{sourceNamespace: A}]",
            &[
                "NotEnforced NotYetEnforced spec.http[0].match[0].sourceNamespace",
                "Invalid InvalidName spec.http[0].match[0].sourceNamespace",
            ],
        ),
        (
            "match: [{uri: {exact: a}, statPrefix: b}]",
            &["NotEnforced NotYetEnforced spec.http[0].match[0].statPrefix"],
        ),
        (
            "match: [{queryParams: {a: {exact: ''}}}]",
            &["NotEnforced NotYetEnforced spec.http[0].match[0].queryParams"],
        ),
        (
            "rewrite: {uri: /}",
            &["Held NotYetEnforced spec.http[0].rewrite"],
        ),
        (
            "rewrite: {}",
            &[
                "Held NotYetEnforced spec.http[0].rewrite",
                "Invalid EmptyAction spec.http[0].rewrite",
            ],
        ),
        (
            "mirror: {host: b}",
            &["Held NotYetEnforced spec.http[0].mirror"],
        ),
        (
            "mirrors: [{destination: {host: b}}]",
            &["Held NotYetEnforced spec.http[0].mirrors"],
        ),
        (
            "mirror: {host: b}, mirror_percent: 5",
            &[
                "Held NotYetEnforced spec.http[0].mirror",
                "Held NotYetEnforced spec.http[0].mirror_percent",
                "Warning DeprecatedField spec.http[0].mirror_percent",
            ],
        ),
        (
            "mirror: {host: b}, mirrorPercentage: {value: 101}",
            &["Invalid OutOfBounds spec.http[0].mirrorPercentage.value"],
        ),
        (
            "retries: {attempts: 3, perTryTimeout: 2s, retryOn: '5xx,reset,503'}",
            &["NotEnforced NotYetEnforced spec.http[0].retries"],
        ),
        (
            "retries: {attempts: 3, retryOn: 'always'}",
            &[
                "NotEnforced NotYetEnforced spec.http[0].retries",
                "Invalid UnknownValue spec.http[0].retries.retryOn",
            ],
        ),
        (
            "retries: {attempts: 0, perTryTimeout: 1s}",
            &[
                "NotEnforced NotYetEnforced spec.http[0].retries",
                "Invalid ConflictingActions spec.http[0].retries.attempts",
            ],
        ),
        (
            "retries: {attempts: -1}",
            &["Invalid OutOfBounds spec.http[0].retries.attempts"],
        ),
        (
            "fault: {delay: {fixedDelay: 1s, percentage: {value: 10}}}",
            &["NotEnforced NotYetEnforced spec.http[0].fault"],
        ),
        (
            "fault: {abort: {grpcStatus: Unavailable, percentage: {value: 10}}}",
            &[
                "NotEnforced NotYetEnforced spec.http[0].fault",
                "Invalid UnknownValue spec.http[0].fault.abort.grpcStatus",
            ],
        ),
        (
            "fault: {abort: {httpStatus: 503}}",
            &[
                "NotEnforced NotYetEnforced spec.http[0].fault",
                "Warning NoEffect spec.http[0].fault.abort.percentage",
            ],
        ),
        (
            "fault: {abort: {httpStatus: 1000}}",
            &["Invalid OutOfBounds spec.http[0].fault.abort.httpStatus"],
        ),
        (
            "corsPolicy: {allowOrigins: [{exact: a}]}",
            &["NotEnforced NotYetEnforced spec.http[0].corsPolicy"],
        ),
        (
            "corsPolicy: {allowMethods: [get]}",
            &[
                "NotEnforced NotYetEnforced spec.http[0].corsPolicy",
                "Invalid UnknownValue spec.http[0].corsPolicy.allowMethods[0]",
            ],
        ),
        (
            "headers: {request: {set: {a: b}}}",
            &["NotEnforced NotYetEnforced spec.http[0].headers"],
        ),
        (
            "headers: {request: {set: {'a b': c}}}",
            &[
                "NotEnforced NotYetEnforced spec.http[0].headers",
                "Invalid InvalidHeaderName spec.http[0].headers.request.set[a b]",
            ],
        ),
        (
            "redirect: {uri: /x}",
            &[
                "Held NotYetEnforced spec.http[0].redirect",
                "Invalid ConflictingActions spec.http[0].redirect",
            ],
        ),
    ];
    for (fields, expected) in cases {
        let spec =
            format!("{{hosts: [a], http: [{{{fields}, route: [{{destination: {{host: a}}}}]}}]}}");
        check(Kind::VirtualService, &spec, expected);
    }
}

#[test]
fn routes_and_actions_have_problems() {
    let cases: &[(&str, &[&str])] = &[
        ("{}", &["Invalid NoRoute spec.http[0].route"]),
        ("{route: []}", &["Invalid NoRoute spec.http[0].route"]),
        (
            "{route: [{weight: 1}]}",
            &["Invalid MissingField spec.http[0].route[0].destination"],
        ),
        (
            "{route: [{destination: {}}]}",
            &["Invalid MissingField spec.http[0].route[0].destination.host"],
        ),
        (
            "{route: [{destination: {host: ''}}]}",
            &["Invalid OutOfBounds spec.http[0].route[0].destination.host"],
        ),
        (
            "{route: [{destination: {host: '*'}}]}",
            &["Invalid InvalidHost spec.http[0].route[0].destination.host"],
        ),
        (
            "{route: [{destination: {host: '*.b'}}]}",
            &["Invalid InvalidHost spec.http[0].route[0].destination.host"],
        ),
        (
            "{route: [{destination: {host: a, subset: v_1}}]}",
            &["Invalid InvalidName spec.http[0].route[0].destination.subset"],
        ),
        (
            "{route: [{destination: {host: a, port: {number: 0}}}]}",
            &["Invalid OutOfBounds spec.http[0].route[0].destination.port.number"],
        ),
        (
            "{route: [{destination: {host: a, port: {}}}]}",
            &["Invalid InvalidPort spec.http[0].route[0].destination.port.number"],
        ),
        (
            "{route: [{destination: {host: a, port: {number: 80, name: http}}}]}",
            &["Warning RemovedField spec.http[0].route[0].destination.port.name"],
        ),
        (
            "{route: [{destination: {host: a}, weight: -1}]}",
            &["Invalid OutOfBounds spec.http[0].route[0].weight"],
        ),
        ("{route: [{destination: {host: a}, weight: 0}]}", &[]),
        (
            "{route: [{destination: {host: a}}, {destination: {host: b}}]}",
            &["Invalid NoWeight spec.http[0].route"],
        ),
        (
            "{route: [{destination: {host: a}, weight: 1}, {destination: {host: b}}]}",
            &["Warning NoWeight spec.http[0].route[1].weight"],
        ),
        (
            "{route: [{destination: {host: a}, weight: 2147483647}, {destination: {host: b}, weight: 2147483647}, {destination: {host: c}, weight: 9}]}",
            &["Invalid OutOfBounds spec.http[0].route"],
        ),
        (
            "{route: [{destination: {host: a}, headers: {response: {remove: [a]}}}]}",
            &["NotEnforced NotYetEnforced spec.http[0].route[0].headers"],
        ),
        (
            "{redirect: {uri: /new, redirectCode: 302}}",
            &["Held NotYetEnforced spec.http[0].redirect"],
        ),
        (
            "{redirect: {redirectCode: 302}}",
            &[
                "Held NotYetEnforced spec.http[0].redirect",
                "Invalid EmptyAction spec.http[0].redirect",
            ],
        ),
        (
            "{redirect: {prefixRewrite: /a}}",
            &[
                "Held NotYetEnforced spec.http[0].redirect",
                "Invalid NoPrefix spec.http[0].redirect.prefixRewrite",
            ],
        ),
        (
            "{directResponse: {status: 503, body: {string: closed}}}",
            &["Held NotYetEnforced spec.http[0].directResponse"],
        ),
        (
            "{directResponse: {}}",
            &["Invalid MissingField spec.http[0].directResponse.status"],
        ),
        (
            "{delegate: {name: b}}",
            &["Held NotYetEnforced spec.http[0].delegate"],
        ),
        (
            "{delegate: {}}",
            &[
                "Held NotYetEnforced spec.http[0].delegate",
                "Invalid MissingField spec.http[0].delegate.name",
            ],
        ),
    ];
    for (rule, expected) in cases {
        check(
            Kind::VirtualService,
            &format!("{{hosts: [a], http: [{rule}]}}"),
            expected,
        );
    }
}

#[test]
fn fields_of_the_object_have_problems() {
    let http = "http: [{route: [{destination: {host: a}}]}]";
    let cases: &[(&str, &[&str])] = &[
        ("{hosts: [a]}", &["Invalid NoRules spec.http"]),
        ("{HTTP}", &["Held NotYetEnforced spec.hosts"]),
        (
            "{hosts: ['*'], HTTP}",
            &["Invalid InvalidHost spec.hosts[0]"],
        ),
        ("{hosts: ['*'], gateways: [edge], HTTP}", &[]),
        (
            "{hosts: ['*'], gateways: [edge, mesh], HTTP}",
            &["Invalid InvalidHost spec.hosts[0]"],
        ),
        (
            "{hosts: ['a*.b'], HTTP}",
            &["Invalid InvalidHost spec.hosts[0]"],
        ),
        (
            "{hosts: ['a b'], HTTP}",
            &["Invalid InvalidHost spec.hosts[0]"],
        ),
        (
            "{hosts: [a, a], HTTP}",
            &["Invalid DuplicateHost spec.hosts[1]"],
        ),
        (
            "{hosts: [a, a.shop.svc.cluster.local], HTTP}",
            &["Invalid DuplicateHost spec.hosts[1]"],
        ),
        (
            "{hosts: ['*.b.c', a.b.c], HTTP}",
            &["Invalid DuplicateHost spec.hosts[1]"],
        ),
        (
            "{hosts: [a.b.c, '*.b.c'], HTTP}",
            &["Invalid DuplicateHost spec.hosts[1]"],
        ),
        (
            "{hosts: ['*.b.c', '*.c'], HTTP}",
            &["Invalid DuplicateHost spec.hosts[1]"],
        ),
        ("{hosts: ['*.b.c', b.c], HTTP}", &[]),
        ("{hosts: a, HTTP}", &["Invalid WrongType spec.hosts"]),
        (
            "{hosts: [a], gateways: ['a/b/c'], HTTP}",
            &["Invalid InvalidGateway spec.gateways[0]"],
        ),
        ("{hosts: [a], exportTo: ['*'], HTTP}", &[]),
        (
            "{hosts: [a], exportTo: ['.'], HTTP}",
            &["Held NotYetEnforced spec.exportTo"],
        ),
        (
            "{hosts: [a], exportTo: [prod], HTTP}",
            &["Held NotYetEnforced spec.exportTo"],
        ),
        (
            "{hosts: [a], exportTo: ['.', shop], HTTP}",
            &[
                "Held NotYetEnforced spec.exportTo",
                "Invalid DuplicateNamespace spec.exportTo[1]",
            ],
        ),
        (
            "{hosts: [a], exportTo: ['*', prod], HTTP}",
            &[
                "Held NotYetEnforced spec.exportTo",
                "Invalid ConflictingNamespaces spec.exportTo[0]",
            ],
        ),
        (
            "{hosts: [a.b], tls: [{match: [{sniHosts: [a.b]}], route: [{destination: {host: a}}]}]}",
            &["Held NotYetEnforced spec.tls"],
        ),
        (
            "{hosts: [a.b], tls: [{match: [{sniHosts: [c.d]}], route: [{destination: {host: a}}]}]}",
            &[
                "Held NotYetEnforced spec.tls",
                "Invalid HostNotCovered spec.tls[0].match[0].sniHosts[0]",
            ],
        ),
        (
            "{hosts: [a], tcp: [{route: [{destination: {host: a}}]}]}",
            &["Held NotYetEnforced spec.tcp"],
        ),
        (
            "{hosts: [a], tcp: [{match: [{destinationSubnets: [x]}]}]}",
            &[
                "Held NotYetEnforced spec.tcp",
                "Invalid InvalidAddress spec.tcp[0].match[0].destinationSubnets[0]",
                "Invalid NoRoute spec.tcp[0].route",
            ],
        ),
    ];
    for (spec, expected) in cases {
        check(Kind::VirtualService, &spec.replace("HTTP", http), expected);
    }
}

/// Actions are held or ignored, and checked all the same: the problems besides those of
/// `NotYetEnforced`.
#[test]
fn actions_are_checked() {
    let cases: &[(&str, &str)] = &[
        (
            "redirect: {uri: /a, prefixRewrite: /b}, match: [{uri: {prefix: /a}}]",
            "ConflictingActions spec.http[0].redirect.prefixRewrite",
        ),
        (
            "redirect: {port: 80, derivePort: FROM_REQUEST_PORT}",
            "ConflictingActions spec.http[0].redirect.derivePort",
        ),
        (
            "redirect: {scheme: ftp}",
            "UnknownValue spec.http[0].redirect.scheme",
        ),
        (
            "redirect: {uri: /a, redirectCode: 305}",
            "UnknownValue spec.http[0].redirect.redirectCode",
        ),
        (
            "redirect: {uri: /a}, rewrite: {uri: /b}",
            "ConflictingActions spec.http[0].rewrite",
        ),
        (
            "redirect: {uri: /a}, directResponse: {status: 200}",
            "ConflictingActions spec.http[0].directResponse",
        ),
        (
            "directResponse: {status: 200, body: {}}",
            "EmptyAction spec.http[0].directResponse.body",
        ),
        (
            "directResponse: {status: 200, body: {string: a, bytes: YQ==}}",
            "ConflictingActions spec.http[0].directResponse.body",
        ),
        (
            "directResponse: {status: 200}, fault: {abort: {httpStatus: 500, percentage: {value: 1}}}",
            "ConflictingActions spec.http[0].fault",
        ),
        (
            "directResponse: {status: 200}, rewrite: {uri: /}",
            "ConflictingActions spec.http[0].rewrite",
        ),
        (
            "directResponse: {status: 200}, ROUTE",
            "ConflictingActions spec.http[0].directResponse",
        ),
        (
            "delegate: {name: a}, ROUTE",
            "ConflictingActions spec.http[0].delegate",
        ),
        (
            "rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}, ROUTE",
            "ConflictingActions spec.http[0].rewrite.uriRegexRewrite",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: '(', rewrite: b}}, ROUTE",
            "InvalidRegex spec.http[0].rewrite.uriRegexRewrite.match",
        ),
        (
            "rewrite: {uriRegexRewrite: {rewrite: b}}, ROUTE",
            "MissingField spec.http[0].rewrite.uriRegexRewrite.match",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: a}}, ROUTE",
            "MissingField spec.http[0].rewrite.uriRegexRewrite.rewrite",
        ),
        (
            "mirror: {host: a}, mirrors: [{destination: {host: a}}], ROUTE",
            "ConflictingActions spec.http[0].mirrors",
        ),
        (
            "mirror: {host: '*'}, ROUTE",
            "InvalidHost spec.http[0].mirror.host",
        ),
        (
            "mirrors: [{destination: {host: a, subset: v_1}}], ROUTE",
            "InvalidName spec.http[0].mirrors[0].destination.subset",
        ),
        (
            "retries: {attempts: 1, perTryTimeout: 0s}, ROUTE",
            "InvalidDuration spec.http[0].retries.perTryTimeout",
        ),
        (
            "retries: {attempts: 1, backoff: x}, ROUTE",
            "InvalidDuration spec.http[0].retries.backoff",
        ),
        (
            "retries: {attempts: 1, retryOn: '999'}, ROUTE",
            "UnknownValue spec.http[0].retries.retryOn",
        ),
        ("fault: {}, ROUTE", "EmptyAction spec.http[0].fault"),
        (
            "fault: {delay: {percentage: {value: 1}}}, ROUTE",
            "MissingField spec.http[0].fault.delay",
        ),
        (
            "fault: {delay: {exponentialDelay: 1s, percentage: {value: 1}}}, ROUTE",
            "UnsupportedField spec.http[0].fault.delay.exponentialDelay",
        ),
        (
            "fault: {delay: {fixedDelay: 0s, percentage: {value: 1}}}, ROUTE",
            "InvalidDuration spec.http[0].fault.delay.fixedDelay",
        ),
        (
            "fault: {delay: {fixedDelay: 1s, percent: 5}}, ROUTE",
            "DeprecatedField spec.http[0].fault.delay.percent",
        ),
        (
            "fault: {abort: {percentage: {value: 1}}}, ROUTE",
            "MissingField spec.http[0].fault.abort",
        ),
        (
            "fault: {abort: {http2Error: A, percentage: {value: 1}}}, ROUTE",
            "UnsupportedField spec.http[0].fault.abort.http2Error",
        ),
        (
            "fault: {abort: {httpStatus: 500, grpcStatus: OK, percentage: {value: 1}}}, ROUTE",
            "ConflictingActions spec.http[0].fault.abort",
        ),
        (
            "corsPolicy: {allowOrigin: [a]}, ROUTE",
            "DeprecatedField spec.http[0].corsPolicy.allowOrigin",
        ),
        (
            "corsPolicy: {allowOrigins: [{}]}, ROUTE",
            "EmptyMatch spec.http[0].corsPolicy.allowOrigins[0]",
        ),
        (
            "corsPolicy: {allowOrigins: [{regex: '('}]}, ROUTE",
            "InvalidRegex spec.http[0].corsPolicy.allowOrigins[0].regex",
        ),
        (
            "corsPolicy: {allowHeaders: ['a b']}, ROUTE",
            "InvalidHeaderName spec.http[0].corsPolicy.allowHeaders[0]",
        ),
        (
            "corsPolicy: {maxAge: 1500ms}, ROUTE",
            "InvalidDuration spec.http[0].corsPolicy.maxAge",
        ),
        (
            "headers: {request: {remove: [host]}}, ROUTE",
            "InvalidHeaderName spec.http[0].headers.request.remove[0]",
        ),
        (
            "headers: {response: {set: {':authority': a}}}, ROUTE",
            "InvalidHeaderName spec.http[0].headers.response.set[:authority]",
        ),
        (
            r#"headers: {request: {set: {a: "b\nc"}}}, ROUTE"#,
            "InvalidHeaderValue spec.http[0].headers.request.set[a]",
        ),
        (
            "headers: {request: {set: {host: a}}}, rewrite: {authority: b}, ROUTE",
            "ConflictingAuthority spec.http[0].headers",
        ),
        (
            "rewrite: {authority: b}, route: [{destination: {host: a}, headers: {request: {set: {':authority': a}}}}]",
            "ConflictingAuthority spec.http[0].route[0].headers",
        ),
    ];
    for (rule, expected) in cases {
        let rule = rule.replace("ROUTE", "route: [{destination: {host: a}}]");
        let translated = translate(&document(
            Kind::VirtualService,
            &format!("{{hosts: [a], http: [{{{rule}}}]}}"),
        ));
        let others: Vec<String> = translated
            .problems
            .iter()
            .filter(|it| it.code != "NotYetEnforced" && it.code != "NoEffect")
            .map(|it| format!("{} {}", it.code, it.field))
            .collect();
        assert_eq!(others, [*expected], "{rule}");
    }
}

#[test]
fn rules_that_are_never_reached_are_named() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["", ""], &["Warning UnreachableRule spec.http[1]"]),
        (&["uri: {exact: /a}", ""], &[]),
        (
            &["uri: {prefix: /}", "uri: {exact: /a}"],
            &["Warning UnreachableRule spec.http[1]"],
        ),
        (&["uri: {prefix: /}, port: 80", "uri: {exact: /a}"], &[]),
        (
            &["uri: {regex: .*}", "uri: {exact: /a}"],
            &["Warning UnreachableRule spec.http[1]"],
        ),
        (
            &["uri: {exact: /a}", "uri: {exact: /a}, name: again"],
            &["Warning DuplicateMatch spec.http[1].match"],
        ),
        (&["uri: {exact: /a}", "uri: {prefix: /a}"], &[]),
    ];
    for (blocks, expected) in cases {
        let rules: Vec<String> = blocks
            .iter()
            .map(|block| {
                let matches = if block.is_empty() {
                    String::new()
                } else {
                    format!("match: [{{{block}}}], ")
                };
                format!("{{{matches}route: [{{destination: {{host: a}}}}]}}")
            })
            .collect();
        let spec = format!("{{hosts: [a], http: [{}]}}", rules.join(", "));
        check(Kind::VirtualService, &spec, expected);
    }
}
