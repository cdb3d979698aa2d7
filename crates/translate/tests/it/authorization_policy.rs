//! AuthorizationPolicy and RequestAuthentication: what they select is refused while they are not
//! enforced, and their fields are checked as if they were.

use crate::{check, document, translate};
use weft_crds::kind::Kind;
use weft_model::{
    inbound::RefusalReason,
    policy::{Policy, RefuseAll},
};

fn refusal(kind: Kind, spec: &str) -> RefuseAll {
    let translated = translate(&document(kind, spec));
    match translated.value {
        Some(Policy::RefuseAll(it)) => it,
        other => panic!("{other:?} {:?}", translated.problems),
    }
}

#[test]
fn what_a_policy_selects_is_refused() {
    for spec in [
        "{}",
        "{rules: [{}]}",
        "{action: DENY, rules: [{}]}",
        "{action: CUSTOM, provider: {name: a}, rules: [{}]}",
    ] {
        let it = refusal(Kind::AuthorizationPolicy, spec);
        assert_eq!(
            (it.selector, it.reason),
            (None, RefusalReason::AuthorizationNotEnforced),
            "{spec}"
        );
    }
    let it = refusal(
        Kind::AuthorizationPolicy,
        "{selector: {matchLabels: {app: web}}}",
    );
    assert_eq!(it.selector.unwrap()["app"], "web");
    let it = refusal(
        Kind::AuthorizationPolicy,
        "{targetRefs: [{kind: Service, name: web}]}",
    );
    assert_eq!(it.selector, None, "the whole namespace");
    let it = refusal(
        Kind::RequestAuthentication,
        "{selector: {matchLabels: {app: web}}, jwtRules: [{issuer: a}]}",
    );
    assert_eq!(it.selector.unwrap()["app"], "web");
    assert_eq!(it.reason, RefusalReason::RequestAuthenticationNotEnforced);
    let audit = translate(&document(
        Kind::AuthorizationPolicy,
        "{action: AUDIT, rules: [{}]}",
    ));
    assert!(
        matches!(audit.value, Some(Policy::Inert(_))),
        "AUDIT refuses nothing"
    );
}

/// An absent spec is an empty one: it denies everything, so it must not be lost.
#[test]
fn a_policy_without_a_spec_refuses() {
    let mut it = document(Kind::AuthorizationPolicy, "{}");
    it.as_object_mut().unwrap().remove("spec");
    assert!(matches!(translate(&it).value, Some(Policy::RefuseAll(_))));
}

#[test]
fn fields_have_problems() {
    const REFUSED: &str = "NotEnforced NotYetEnforced spec.rules";
    let cases: &[(&str, &[&str])] = &[
        ("{action: ALLOW}", &[REFUSED]),
        (
            "{action: AUDIT, rules: [{}]}",
            &["NotEnforced NotYetEnforced spec.action"],
        ),
        ("{action: allow}", &["Invalid UnknownValue spec.action"]),
        ("{action: DENY}", &["Invalid NoRules spec.rules", REFUSED]),
        (
            "{action: CUSTOM, rules: [{}]}",
            &["Invalid MissingField spec.provider.name", REFUSED],
        ),
        (
            "{provider: {name: a}}",
            &["Invalid ConflictingFields spec.provider", REFUSED],
        ),
        (
            "{targetRefs: [{kind: Service, name: a}]}",
            &[REFUSED, "NotEnforced NotYetEnforced spec.targetRefs"],
        ),
        (
            "{selector: {matchLabels: {a: b}}, targetRef: {kind: Service, name: a}}",
            &[
                REFUSED,
                "Invalid ConflictingTargets spec.selector",
                "NotEnforced NotYetEnforced spec.targetRef",
            ],
        ),
        (
            "{rules: [{from: [{}]}]}",
            &[REFUSED, "Invalid EmptyMatch spec.rules[0].from[0].source"],
        ),
        (
            "{rules: [{to: [{operation: {}}]}]}",
            &[REFUSED, "Invalid EmptyMatch spec.rules[0].to[0].operation"],
        ),
        (
            "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
            &[
                REFUSED,
                "Invalid ConflictingFields spec.rules[0].from[0].source.serviceAccounts",
            ],
        ),
        (
            "{rules: [{from: [{source: {serviceAccounts: ['a/*']}}]}]}",
            &[
                REFUSED,
                "Invalid InvalidName spec.rules[0].from[0].source.serviceAccounts[0]",
            ],
        ),
        (
            "{rules: [{from: [{source: {ipBlocks: [a]}}]}]}",
            &[
                REFUSED,
                "Invalid InvalidAddress spec.rules[0].from[0].source.ipBlocks[0]",
            ],
        ),
        (
            "{rules: [{from: [{source: {principals: ['spiffe://a/ns/b/sa/c']}}]}]}",
            &[
                REFUSED,
                "Warning NeverMatches spec.rules[0].from[0].source.principals[0]",
            ],
        ),
        (
            "{rules: [{from: [{source: {principals: ['']}}]}]}",
            &[
                REFUSED,
                "Invalid EmptyMatch spec.rules[0].from[0].source.principals[0]",
            ],
        ),
        (
            "{rules: [{to: [{operation: {ports: ['80', http]}}]}]}",
            &[
                REFUSED,
                "Invalid InvalidPort spec.rules[0].to[0].operation.ports[1]",
            ],
        ),
        (
            "{rules: [{to: [{operation: {paths: ['/a/{*}/b/{**}', '/api/*']}}]}]}",
            &[REFUSED],
        ),
        (
            "{rules: [{to: [{operation: {paths: ['/{**}/{*}']}}]}]}",
            &[
                REFUSED,
                "Invalid InvalidPath spec.rules[0].to[0].operation.paths[0]",
            ],
        ),
        (
            "{rules: [{to: [{operation: {paths: ['/{a}']}}]}]}",
            &[
                REFUSED,
                "Invalid InvalidPath spec.rules[0].to[0].operation.paths[0]",
            ],
        ),
        (
            "{rules: [{when: [{key: 'request.headers[x-a]', values: [b]}]}]}",
            &[REFUSED],
        ),
        (
            "{rules: [{when: [{key: 'request.auth.claims[a][b]', notValues: [b]}]}]}",
            &[REFUSED],
        ),
        (
            "{rules: [{when: [{key: source.principal}]}]}",
            &[REFUSED, "Invalid MissingField spec.rules[0].when[0].values"],
        ),
        (
            "{rules: [{when: [{key: source.color, values: [a]}]}]}",
            &[REFUSED, "Invalid UnknownValue spec.rules[0].when[0].key"],
        ),
        (
            "{rules: [{when: [{key: destination.port, values: [http]}]}]}",
            &[
                REFUSED,
                "Invalid InvalidPort spec.rules[0].when[0].values[0]",
            ],
        ),
    ];
    for (spec, expected) in cases {
        check(Kind::AuthorizationPolicy, spec, expected);
    }
}

#[test]
fn fields_of_a_request_authentication_have_problems() {
    const REFUSED: &str = "NotEnforced NotYetEnforced spec.jwtRules";
    let cases: &[(&str, &[&str])] = &[
        ("{}", &[REFUSED]),
        (
            "{jwtRules: [{issuer: a, jwks_uri: 'https://a/keys'}]}",
            &[REFUSED],
        ),
        (
            "{jwtRules: [{}]}",
            &[REFUSED, "Invalid MissingField spec.jwtRules[0].issuer"],
        ),
        (
            "{jwtRules: [{jwksUri: ftp}]}",
            &[REFUSED, "Invalid InvalidUrl spec.jwtRules[0].jwksUri"],
        ),
        (
            "{jwtRules: [{issuer: a, jwks: '{}', jwksUri: 'https://a'}]}",
            &[REFUSED, "Invalid ConflictingFields spec.jwtRules[0].jwks"],
        ),
        (
            "{jwtRules: [{issuer: ''}]}",
            &["Invalid OutOfBounds spec.jwtRules[0].issuer"],
        ),
        (
            "{jwtRules: [{issuer: a, fromHeaders: [{name: 'a b'}], timeout: 0s}]}",
            &[
                REFUSED,
                "Invalid InvalidHeaderName spec.jwtRules[0].fromHeaders[0].name",
                "Invalid InvalidDuration spec.jwtRules[0].timeout",
            ],
        ),
        (
            "{targetRefs: [{kind: Service, name: a}]}",
            &[REFUSED, "NotEnforced NotYetEnforced spec.targetRefs"],
        ),
    ];
    for (spec, expected) in cases {
        check(Kind::RequestAuthentication, spec, expected);
    }
}
