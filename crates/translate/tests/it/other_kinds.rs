//! ServiceEntry and WorkloadEntry: checked, and without effect.

use crate::{check, document, translate};
use weft_crds::kind::Kind;
use weft_model::policy::Policy;

const INERT: &str = "NotEnforced NotYetEnforced spec";

#[test]
fn they_are_inert() {
    for (kind, spec) in [
        (Kind::ServiceEntry, "{hosts: [a.example.com]}"),
        (Kind::WorkloadEntry, "{address: 10.0.0.1}"),
    ] {
        let it = translate(&document(kind, spec)).value;
        assert!(matches!(it, Some(Policy::Inert(_))), "{it:?}");
    }
}

#[test]
fn fields_of_a_service_entry_have_problems() {
    let cases: &[(&str, &[&str])] = &[
        ("{}", &["Invalid MissingField spec.hosts"]),
        ("{hosts: []}", &["Invalid OutOfBounds spec.hosts"]),
        (
            "{hosts: ['*']}",
            &[INERT, "Invalid InvalidHost spec.hosts[0]"],
        ),
        (
            "{hosts: [a.b], addresses: [x]}",
            &[INERT, "Invalid InvalidAddress spec.addresses[0]"],
        ),
        (
            "{hosts: [a.b], resolution: DNS, addresses: [10.0.0.0/8]}",
            &[INERT, "Invalid ConflictingFields spec.addresses[0]"],
        ),
        (
            "{hosts: [a.b], ports: [{number: 80}]}",
            &["Invalid MissingField spec.ports[0].name"],
        ),
        (
            "{hosts: [a.b], ports: [{number: 0, name: a}]}",
            &["Invalid OutOfBounds spec.ports[0].number"],
        ),
        (
            "{hosts: [a.b], ports: [{number: 80, name: a}, {number: 80, name: a}]}",
            &[
                INERT,
                "Invalid DuplicateName spec.ports[1].name",
                "Invalid DuplicatePort spec.ports[1].number",
            ],
        ),
        (
            "{hosts: [a.b], ports: [{number: 80, name: a, protocol: SPDY}]}",
            &[INERT, "Invalid UnknownValue spec.ports[0].protocol"],
        ),
        (
            "{hosts: [a.b], endpoints: [{address: 10.0.0.1}]}",
            &[INERT, "Invalid ConflictingFields spec.endpoints"],
        ),
        (
            "{hosts: [a.b], resolution: STATIC, endpoints: [{address: a.b}]}",
            &[INERT, "Invalid InvalidAddress spec.endpoints[0].address"],
        ),
        (
            "{hosts: [a.b], resolution: STATIC, endpoints: [{}]}",
            &[INERT, "Invalid MissingField spec.endpoints[0].address"],
        ),
        (
            "{hosts: [a.b], location: OUTSIDE}",
            &["Invalid UnknownValue spec.location"],
        ),
    ];
    for (spec, expected) in cases {
        check(Kind::ServiceEntry, spec, expected);
    }
}

#[test]
fn fields_of_a_workload_entry_have_problems() {
    let cases: &[(&str, &[&str])] = &[
        ("{}", &[INERT, "Invalid MissingField spec.address"]),
        ("{network: a}", &[INERT]),
        (
            "{address: 'a b'}",
            &[INERT, "Invalid InvalidAddress spec.address"],
        ),
        (
            "{address: 'unix://a'}",
            &[INERT, "Invalid InvalidAddress spec.address"],
        ),
        (
            "{address: 'unix:///a', ports: {http: 1}}",
            &[INERT, "Invalid ConflictingFields spec.ports"],
        ),
        (
            "{address: a.b, ports: {http: 0}}",
            &["Invalid OutOfBounds spec.ports[http]"],
        ),
        (
            "{address: a.b, ports: {'a b': 1}}",
            &[INERT, "Invalid InvalidName spec.ports[a b]"],
        ),
        (
            "{address: a.b, labels: {a: 'b c'}}",
            &[INERT, "Invalid InvalidLabel spec.labels[a]"],
        ),
        (
            "{address: a.b, serviceAccount: 'A'}",
            &[INERT, "Invalid InvalidName spec.serviceAccount"],
        ),
        (
            "{address: a.b, weight: -1}",
            &["Invalid OutOfBounds spec.weight"],
        ),
    ];
    for (spec, expected) in cases {
        check(Kind::WorkloadEntry, spec, expected);
    }
}
