//! What a proxy is told, and that the kept state equals one made from nothing.

use crate::{
    fixture::{Mesh, object, service},
    index::{Affected, Index},
    snapshot::{Snapshot, View},
    source::registry::State,
};
use proptest::prelude::*;
use weft_model::{
    resource::{Name, ResourceName, Version},
    workload::WorkloadName,
};

#[test]
fn an_authority_is_understood_in_every_spelling() {
    let mut mesh = Mesh::shop();
    let cases = [
        ("shop/web-0", "pay", true),
        ("shop/web-0", "pay.shop", true),
        ("shop/web-0", "pay.shop.svc", true),
        ("shop/web-0", "pay.shop.svc.cluster.local", true),
        ("shop/web-0", "pay.shop.svc.cluster.local.", true),
        ("other/web-0", "pay", false),
        ("other/web-0", "pay.shop", true),
        ("shop/web-0", "pay.other", false),
        ("shop/web-0", "pay.shop.svc.cluster", false),
        ("shop/web-0", "example.com", false),
        ("shop/web-0", "", false),
        ("shop/web-0", "..", false),
    ];
    for (client, host, found) in cases {
        assert_eq!(
            mesh.outbound(client, host).is_some(),
            found,
            "{host} from {client}"
        );
    }
    assert!(mesh.outbound_at("shop/web-0", "pay", 81).is_none());
}

#[test]
fn rules_hold_on_the_ports_they_name() {
    let mut mesh = Mesh::shop();
    let two = service("pay").replace("ports: [", "ports: [{name: tcp-raw, port: 90, targetPort: 8080}, {name: http-b, port: 81, targetPort: 8080}, ");
    mesh.write("services.yaml", &(service("cart") + &two));
    let spec = "{hosts: [pay], http: [\
        {match: [{port: 81}], route: [{destination: {host: cart, port: {number: 80}}}]}, \
        {match: [{port: 80, uri: {prefix: /a}}, {uri: {prefix: /b}}], timeout: 2s, route: [{destination: {host: pay}}]}]}";
    mesh.write("vs.yaml", &object("VirtualService", "pay", spec));
    assert!(
        mesh.codes("VirtualService", "pay").is_empty(),
        "{:?}",
        mesh.problems_of("VirtualService", "pay")
    );
    let routes = |mesh: &mut Mesh, port| {
        let policy = mesh.outbound_at("shop/web-0", "pay", port).unwrap();
        policy
            .http
            .iter()
            .map(|it| {
                (
                    format!("{:?}", it.matches).matches("HttpMatch").count(),
                    it.source.as_ref().and_then(|it| it.rule),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(routes(&mut mesh, 80), [(2, Some(1))]);
    assert_eq!(routes(&mut mesh, 81), [(1, Some(0)), (1, Some(1))]);
    assert_eq!(
        routes(&mut mesh, 90),
        [(0, None)],
        "not HTTP: default routing"
    );
}

#[test]
fn a_port_that_no_rule_names_keeps_default_routing_and_one_that_can_never_match_does_not() {
    let mut mesh = Mesh::shop();
    let other_port =
        "{hosts: [pay], http: [{match: [{port: 8443}], route: [{destination: {host: cart}}]}]}";
    mesh.write("vs.yaml", &object("VirtualService", "pay", other_port));
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["pay:80=1"]);
    let unenforced = "{hosts: [pay], http: [{match: [{sourceLabels: {app: x}}], route: [{destination: {host: cart}}]}]}";
    mesh.write("vs.yaml", &object("VirtualService", "pay", unenforced));
    assert_eq!(
        mesh.routes("shop/web-0", "pay"),
        ["cart:80=1 if 0"],
        "never, hence 404"
    );
}

#[test]
fn weights_are_shares_and_nothing_gets_nothing() {
    let cases = [
        ("[{destination: {host: pay}, weight: 0}]", "pay:80=1"),
        (
            "[{destination: {host: pay}, weight: 3}, {destination: {host: cart}, weight: 0}]",
            "pay:80=3",
        ),
        (
            "[{destination: {host: pay}, weight: 1}, {destination: {host: cart}, weight: 3}]",
            "pay:80=1,cart:80=3",
        ),
    ];
    for (route, expected) in cases {
        let mut mesh = Mesh::shop();
        let spec = format!("{{hosts: [pay], http: [{{route: {route}, timeout: 1500ms}}]}}");
        mesh.write("vs.yaml", &object("VirtualService", "pay", &spec));
        assert_eq!(
            mesh.routes("shop/web-0", "pay"),
            [format!("{expected} within 1.5s")],
            "{route}"
        );
    }
}

#[test]
fn endpoints_follow_readiness_and_keep_their_number() {
    let mut mesh = Mesh::shop();
    let all = mesh.endpoints("pay").unwrap();
    assert_eq!(all.endpoints.len(), 2);
    mesh.state("shop/pay-v1-0", State::Draining);
    let draining = mesh.endpoints("pay").unwrap();
    assert_eq!(
        draining.endpoints.iter().filter(|it| it.draining).count(),
        1
    );
    assert_eq!(
        draining
            .endpoints
            .iter()
            .map(|it| it.id)
            .collect::<Vec<_>>(),
        all.endpoints.iter().map(|it| it.id).collect::<Vec<_>>()
    );
    mesh.state("shop/pay-v1-0", State::Unready);
    assert_eq!(mesh.endpoints("pay").unwrap().endpoints.len(), 1);
    mesh.state("shop/pay-v1-0", State::Ready);
    assert_eq!(mesh.endpoints("pay").unwrap(), all);
}

#[test]
fn equal_content_has_an_equal_version_in_every_process() {
    let (mut one, mut other) = (Mesh::shop(), Mesh::shop());
    let client: WorkloadName = "shop/web-0".parse().unwrap();
    let name = Name::Authority {
        host: "pay".to_owned(),
        port: 80,
    };
    let versions = |mesh: &mut Mesh| -> Vec<Version> {
        let mut view = mesh.snapshot.view(&mesh.index, &client);
        let resource = view.answer(&name).unwrap();
        view.closure(&resource)
            .iter()
            .map(|it| it.version())
            .collect()
    };
    assert_eq!(versions(&mut one), versions(&mut other));
    // Objects that say nothing about the Service leave its versions alone.
    let before = versions(&mut one);
    one.write(
        "vs.yaml",
        &object(
            "VirtualService",
            "cart",
            "{hosts: [cart], http: [{route: [{destination: {host: cart}}]}]}",
        ),
    );
    assert_eq!(versions(&mut one), before);
}

/// Everything that some clients see, by name and version.
fn everything(index: &Index, snapshot: &mut Snapshot) -> Vec<(String, ResourceName, Version)> {
    let mut all = Vec::new();
    for client in ["shop/pay-v1-0", "shop/cart-v2-0", "front/web-0"] {
        let workload: WorkloadName = client.parse().unwrap();
        let mut names = vec![Name::Workload, Name::Trust, Name::Inbound(8080)];
        for host in ["pay.shop", "cart.shop", "more.shop"] {
            names.push(Name::Authority {
                host: host.to_owned(),
                port: 80,
            });
        }
        let mut view = snapshot.view(index, &workload);
        for name in names {
            let Some(resource) = view.answer(&name) else {
                continue;
            };
            for published in view.closure(&resource) {
                all.push((
                    format!("{client} {name:?}"),
                    published.name().clone(),
                    published.version(),
                ));
            }
        }
    }
    all
}

/// Texts that a file of the random folder may have.
fn texts() -> Vec<String> {
    let vs = |name: &str, spec: &str| object("VirtualService", name, spec);
    let dr = |name: &str, spec: &str| object("DestinationRule", name, spec);
    vec![
        String::new(),
        "a: [".to_owned(),
        service("more"),
        service("pay").replace("http", "tcp"),
        vs(
            "pay",
            "{hosts: [pay], http: [{route: [{destination: {host: pay, subset: v1}}]}]}",
        ),
        vs(
            "pay",
            "{hosts: [pay], http: [{route: [{destination: {host: more}}]}]}",
        ),
        vs(
            "wide",
            "{hosts: ['*.shop.svc.cluster.local'], http: [{route: [{destination: {host: cart, subset: v1}}]}]}",
        ),
        vs(
            "cart",
            "{hosts: [cart], http: [{route: [{destination: {host: pay}, weight: 1}, {destination: {host: cart}, weight: 1}]}]}",
        ),
        dr(
            "pay",
            "{host: pay, subsets: [{name: v1, labels: {version: v1}}]}",
        ),
        dr("pay", "{host: pay, trafficPolicy: {tls: {mode: DISABLE}}}"),
        dr(
            "cart",
            "{host: cart, trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: v1, labels: {version: v1}}]}",
        ),
        dr(
            "front/pay",
            "{host: pay.shop.svc.cluster.local, subsets: [{name: v2, labels: {version: v2}}]}",
        ),
        dr(
            "istio-system/all",
            "{host: '*', trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}",
        ),
        object("PeerAuthentication", "ns", "{mtls: {mode: DISABLE}}"),
        object(
            "PeerAuthentication",
            "istio-system/mesh",
            "{mtls: {mode: STRICT}}",
        ),
        object(
            "PeerAuthentication",
            "pay",
            "{selector: {matchLabels: {app: pay}}, mtls: {mode: DISABLE}}",
        ),
        object(
            "AuthorizationPolicy",
            "pay",
            "{selector: {matchLabels: {app: pay}}, rules: [{}]}",
        ),
        object("MeshConfig", "default", "{accessLog: {mode: TEXT}}"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_kept_state_equals_one_made_from_nothing(
        steps in proptest::collection::vec((0_usize..4, 0_usize..18, 0_usize..3), 1..25)
    ) {
        let texts = texts();
        let mut mesh = Mesh::shop();
        mesh.start("front/web-0", "web", "v1");
        for (file, text, state) in steps {
            mesh.write(&format!("{file}.yaml"), &texts[text]);
            if text % 3 == 0 {
                let state = [State::Ready, State::Unready, State::Draining][state];
                mesh.state("shop/pay-v2-0", state);
            }
            let kept = everything(&mesh.index, &mut mesh.snapshot);
            mesh.snapshot.invalidate(&Affected { everything: true, ..Affected::default() });
            let fresh = everything(&mesh.index, &mut mesh.snapshot);
            prop_assert_eq!(kept, fresh);
        }
    }
}
