//! Files in, a listing out.

use super::*;
use crate::fixture::{object, service};

fn texts(files: &[(&str, &str)]) -> BTreeMap<PathBuf, Text> {
    files
        .iter()
        .map(|(file, text)| (PathBuf::from(file), Text::Read((*text).to_owned())))
        .collect()
}

fn folder() -> Folder {
    Folder::new("shop".to_owned(), Memory::default())
}

fn names(listing: &Listing) -> Vec<String> {
    let services = listing.services.keys().map(|it| format!("Service {it}"));
    services
        .chain(listing.policies.keys().map(ToString::to_string))
        .collect()
}

fn codes(listing: &Listing) -> Vec<(&str, u32, &str)> {
    listing
        .problems
        .iter()
        .map(|it| (&*it.file, it.line, it.code))
        .collect()
}

const VS: &str = "{hosts: [pay], http: [{route: [{destination: {host: pay}}]}]}";

#[test]
fn what_is_no_business_of_the_mesh_is_passed_over() {
    let text = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: pay}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: pay}
";
    let listing = folder().list(&texts(&[("a.yaml", text)]));
    assert!(
        names(&listing).is_empty() && listing.problems.is_empty(),
        "{listing:?}"
    );
}

#[test]
fn a_namespace_that_is_not_said_is_filled_in() {
    let service = service("pay").replace(", namespace: shop", "");
    let policy = object("VirtualService", "pay", VS).replace(", namespace: shop", "");
    let listing = folder().list(&texts(&[("a.yaml", &(service + &policy))]));
    assert_eq!(
        names(&listing),
        ["Service shop/pay", "VirtualService shop/pay"]
    );
    let policy = listing.policies.values().next().unwrap();
    assert!(
        policy.translated.value.is_some(),
        "{:?}",
        policy.translated.problems
    );
    assert_eq!(policy.manifest["metadata"]["namespace"], "shop");
    assert_eq!(policy.origin.lines.line("spec.hosts"), 12);
}

#[test]
fn age_is_first_sight_and_generation_counts_edits() {
    let mut folder = folder();
    let (a, b) = (
        object("VirtualService", "a", VS),
        object("VirtualService", "b", VS),
    );
    let mut ages = |files: &[(&str, &str)]| -> Vec<(String, i64, i64)> {
        let listing = folder.list(&texts(files));
        let mut ages: Vec<_> = listing
            .policies
            .values()
            .map(|it| (it.object.name.clone(), it.created, it.generation))
            .collect();
        ages.sort_by_key(|it| it.1);
        ages
    };
    let named = |name: &str, created, generation| (name.to_owned(), created, generation);
    assert_eq!(ages(&[("1.yaml", &b)]), [named("b", 0, 1)]);
    assert_eq!(
        ages(&[("0.yaml", &a), ("1.yaml", &b)]),
        [named("b", 0, 1), named("a", 1, 1)]
    );
    let edited = b.replace("[pay]", "[pay, cart]");
    assert_eq!(
        ages(&[("0.yaml", &a), ("1.yaml", &edited)]),
        [named("b", 0, 2), named("a", 1, 1)]
    );
    let commented = edited.clone() + "# nothing that counts\n";
    assert_eq!(
        ages(&[("0.yaml", &a), ("1.yaml", &commented)]),
        [named("b", 0, 2), named("a", 1, 1)]
    );
    let together = a.clone() + &edited;
    assert_eq!(
        ages(&[("2.yaml", &together)]),
        [named("b", 0, 2), named("a", 1, 1)],
        "moving is no edit"
    );
    assert_eq!(ages(&[("0.yaml", &a)]), [named("a", 1, 1)]);
    assert_eq!(
        ages(&[("0.yaml", &together)]),
        [named("a", 1, 1), named("b", 2, 1)],
        "gone and back is new"
    );
}

#[test]
fn a_file_that_is_no_yaml_keeps_its_objects_also_over_a_restart() {
    let mut folder = folder();
    let good = object("VirtualService", "a", VS);
    folder.list(&texts(&[("a.yaml", &good)]));
    let broken = texts(&[("a.yaml", &(good + "\nb: [\n")), ("b.yaml", "x: {")]);
    let listing = folder.list(&broken);
    assert_eq!(names(&listing), ["VirtualService shop/a"]);
    assert_eq!(
        codes(&listing)
            .iter()
            .map(|it| (it.0, it.2))
            .collect::<Vec<_>>(),
        [("a.yaml", codes::SYNTAX), ("b.yaml", codes::SYNTAX)]
    );
    assert!(
        listing.problems[0]
            .remedy
            .contains("its one object stays as it was"),
        "{:?}",
        listing.problems[0]
    );
    assert!(
        listing.problems[1]
            .remedy
            .contains("nothing of it is in force"),
        "{:?}",
        listing.problems[1]
    );
    let stored = serde_json::to_string(folder.memory()).unwrap();
    let mut again = Folder::new("shop".to_owned(), serde_json::from_str(&stored).unwrap());
    assert_eq!(again.list(&broken), listing);
}

#[test]
fn the_first_of_a_name_keeps_it() {
    let mut folder = folder();
    let a = object("VirtualService", "a", VS);
    let first = folder.list(&texts(&[("b.yaml", &a)]));
    let origin = |listing: &Listing| {
        listing
            .policies
            .values()
            .next()
            .unwrap()
            .origin
            .file
            .to_string()
    };
    assert_eq!(origin(&first), "b.yaml");
    let both = folder.list(&texts(&[("a.yaml", &a), ("b.yaml", &a)]));
    assert_eq!(origin(&both), "b.yaml");
    assert_eq!(codes(&both), [("a.yaml", 2, codes::DUPLICATE)]);
    assert_eq!(
        both.problems[0].reason,
        "there is another VirtualService shop/a at b.yaml:2"
    );
    let twice = folder.list(&texts(&[("c.yaml", &(a.clone() + &a))]));
    assert_eq!(codes(&twice), [("c.yaml", 7, codes::DUPLICATE)]);
}

#[test]
fn a_service_that_cannot_be_used_says_why() {
    let cases = [
        ("ports: [{port: 0}]", "spec.ports[0].port", "0 is no port"),
        (
            "ports: [{port: 80, targetPort: 70000}]",
            "spec.ports[0].targetPort",
            "70000 is no port",
        ),
        ("ports: []", "spec.ports", "the Service has no TCP port"),
        (
            "type: ExternalName",
            "spec.type",
            "ExternalName is not supported",
        ),
    ];
    for (spec, field, reason) in cases {
        let text =
            format!("apiVersion: v1\nkind: Service\nmetadata: {{name: pay}}\nspec: {{{spec}}}\n");
        let listing = folder().list(&texts(&[("a.yaml", &text)]));
        assert!(listing.services.is_empty());
        let problem = &listing.problems[0];
        assert_eq!(
            (
                problem.field.as_str(),
                problem.reason.as_str(),
                problem.line
            ),
            (field, reason, 4)
        );
    }
}

#[test]
fn json_is_yaml() {
    let text = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "pay"},
        "spec": {"ports": [{"port": 80, "targetPort": "http", "appProtocol": "grpc"}]}}"#;
    let listing = folder().list(&texts(&[("a.json", text)]));
    assert_eq!(
        names(&listing),
        ["Service shop/pay"],
        "{:?}",
        listing.problems
    );
}

#[test]
fn json_without_kind_and_version_is_somebody_s_data() {
    let files = texts(&[
        ("a.json", "[1, 2]"),
        ("b.json", r#"{"x": 1}"#),
        ("c.yaml", "[1, 2]"),
    ]);
    assert_eq!(
        codes(&folder().list(&files)),
        [("c.yaml", 1, codes::NOT_AN_OBJECT)]
    );
}
