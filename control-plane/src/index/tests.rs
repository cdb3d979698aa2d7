//! Objects in, what is in force out.
//!
//! Long because: one table of cases per rule of precedence.

use crate::fixture::{Mesh, object, service};

const RULE: &str =
    "{host: pay, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}";

fn split(v1: u32, v2: u32) -> String {
    format!(
        "{{hosts: [pay], http: [{{route: [{{destination: {{host: pay, subset: v1}}, weight: {v1}}}, \
         {{destination: {{host: pay, subset: v2}}, weight: {v2}}}]}}]}}"
    )
}

#[test]
fn a_virtual_service_waits_for_its_subsets_and_default_routing_holds() {
    let mut mesh = Mesh::shop();
    mesh.write("vs.yaml", &object("VirtualService", "pay", &split(90, 10)));
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["pay:80=1"]);
    assert_eq!(
        mesh.codes("VirtualService", "pay"),
        ["SubsetNotFound", "SubsetNotFound"]
    );
    assert_eq!(mesh.in_force("VirtualService", "pay"), None);
    let outcome = mesh.write("dr.yaml", &object("DestinationRule", "pay", RULE));
    assert_eq!(
        outcome
            .released
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["VirtualService shop/pay"]
    );
    assert_eq!(
        mesh.routes("shop/web-0", "pay"),
        ["pay:80#v1=90,pay:80#v2=10"]
    );
    assert!(mesh.codes("VirtualService", "pay").is_empty());
    let names: Vec<String> = mesh
        .closure("shop/web-0", "pay")
        .iter()
        .map(ToString::to_string)
        .collect();
    let host = "pay.shop.svc.cluster.local";
    assert_eq!(
        names,
        [
            format!("endpoints/{host}:80"),
            format!("cluster/{host}:80"),
            format!("cluster/{host}:80#v1"),
            format!("cluster/{host}:80#v2"),
            format!("outbound/{host}:80"),
        ]
    );
}

#[test]
fn a_held_generation_leaves_the_one_before_in_force() {
    let mut mesh = Mesh::shop();
    mesh.write("dr.yaml", &object("DestinationRule", "pay", RULE));
    mesh.write("vs.yaml", &object("VirtualService", "pay", &split(90, 10)));
    mesh.write(
        "vs.yaml",
        &object("VirtualService", "pay", &split(90, 10).replace("v2", "v3")),
    );
    assert_eq!(
        mesh.routes("shop/web-0", "pay"),
        ["pay:80#v1=90,pay:80#v2=10"]
    );
    assert_eq!(mesh.in_force("VirtualService", "pay"), Some((1, false)));
    assert_eq!(mesh.codes("VirtualService", "pay"), ["SubsetNotFound"]);
    let problem = &mesh.problems_of("VirtualService", "pay")[0];
    assert_eq!(problem.field, "spec.http[0].route[1].destination.subset");
    assert_eq!(
        problem.remedy,
        "define it beside v1, v2, or correct the name"
    );
    // The same after a restart.
    let mut again = mesh.restart();
    assert_eq!(
        again.routes("shop/web-0", "pay"),
        ["pay:80#v1=90,pay:80#v2=10"]
    );
    assert_eq!(again.in_force("VirtualService", "pay"), Some((1, false)));
    // And it goes on when it is mended.
    again.write("vs.yaml", &object("VirtualService", "pay", &split(50, 50)));
    assert_eq!(
        again.routes("shop/web-0", "pay"),
        ["pay:80#v1=50,pay:80#v2=50"]
    );
    assert_eq!(again.in_force("VirtualService", "pay"), Some((3, true)));
}

#[test]
fn a_subset_that_is_deleted_while_in_use_answers_503_and_the_rest_works() {
    let mut mesh = Mesh::shop();
    mesh.write("dr.yaml", &object("DestinationRule", "pay", RULE));
    mesh.write("vs.yaml", &object("VirtualService", "pay", &split(90, 10)));
    let v1_only = "{host: pay, subsets: [{name: v1, labels: {version: v1}}]}";
    let outcome = mesh.write("dr.yaml", &object("DestinationRule", "pay", v1_only));
    assert_eq!(outcome.broken.len(), 1);
    let expected = [
        "pay:80#v1=90,invalid(no DestinationRule defines subset v2 of pay.shop.svc.cluster.local)=10",
    ];
    assert_eq!(mesh.routes("shop/web-0", "pay"), expected);
    assert_eq!(mesh.in_force("VirtualService", "pay"), Some((1, true)));
    assert_eq!(mesh.codes("VirtualService", "pay"), ["SubsetNotFound"]);
    let mut again = mesh.restart();
    assert_eq!(
        again.routes("shop/web-0", "pay"),
        expected,
        "the same after a restart"
    );
    again.write("dr.yaml", &object("DestinationRule", "pay", RULE));
    assert_eq!(
        again.routes("shop/web-0", "pay"),
        ["pay:80#v1=90,pay:80#v2=10"]
    );
    assert!(again.codes("VirtualService", "pay").is_empty());
}

#[test]
fn references_that_lead_nowhere_are_named_with_what_to_do() {
    let route = |destination: &str| {
        format!("{{hosts: [pay], http: [{{route: [{{destination: {destination}}}]}}]}}")
    };
    let cases = [
        (
            "{host: pau}",
            "HostNotFound",
            "destination.host",
            "did you mean `pay.shop.svc.cluster.local`? Else add the Service",
        ),
        (
            "{host: pay.shop}",
            "HostNotFound",
            "destination.host",
            "a name with a dot is taken as it stands: write `pay.shop.svc.cluster.local`",
        ),
        (
            "{host: something}",
            "HostNotFound",
            "destination.host",
            "add the Service, or correct the name",
        ),
        (
            "{host: pay, port: {number: 81}}",
            "PortNotFound",
            "destination.port.number",
            "name one of its ports: 80",
        ),
        (
            "{host: pay, subset: v9}",
            "SubsetNotFound",
            "destination.subset",
            "add a DestinationRule in namespace shop with that subset",
        ),
        (
            "{host: many}",
            "PortRequired",
            "destination.port",
            "say which one with `port: {number: ...}`",
        ),
    ];
    for (destination, code, field, remedy) in cases {
        let mut mesh = Mesh::shop();
        let many = service("many").replace(
            "{name: http, port: 80, targetPort: 8080}",
            "{name: a, port: 1}, {name: b, port: 2}",
        );
        mesh.write("many.yaml", &many);
        mesh.write(
            "vs.yaml",
            &object("VirtualService", "pay", &route(destination)),
        );
        let problems = mesh.problems_of("VirtualService", "pay");
        assert_eq!(problems.len(), 1, "{destination}: {problems:?}");
        assert_eq!(
            (problems[0].code, problems[0].remedy.as_str()),
            (code, remedy),
            "{destination}"
        );
        assert_eq!(
            problems[0].field,
            format!("spec.http[0].route[0].{field}"),
            "{destination}"
        );
        assert_eq!(
            mesh.routes("shop/web-0", "pay"),
            ["pay:80=1"],
            "{destination}: default routing"
        );
    }
}

#[test]
fn the_oldest_of_two_for_one_host_wins_and_the_other_hears_of_it() {
    let mut mesh = Mesh::shop();
    let to = |host: &str, hosts: &str| {
        format!("{{hosts: {hosts}, http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}")
    };
    mesh.write(
        "z-first.yaml",
        &object("VirtualService", "z", &to("cart", "[pay]")),
    );
    mesh.write(
        "a-second.yaml",
        &object("VirtualService", "a", &to("pay", "[pay]")),
    );
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["cart:80=1"]);
    assert_eq!(mesh.codes("VirtualService", "a"), ["Conflict"]);
    assert!(mesh.codes("VirtualService", "z").is_empty());
    // An edit does not make it younger.
    mesh.write(
        "z-first.yaml",
        &object("VirtualService", "z", &to("cart", "[pay, other]")),
    );
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["cart:80=1"]);
    mesh.remove("z-first.yaml");
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["pay:80=1"]);
    assert!(mesh.codes("VirtualService", "a").is_empty());
}

#[test]
fn the_most_specific_host_wins_over_the_oldest() {
    let mut mesh = Mesh::shop();
    let to = |host: &str, hosts: &str| {
        format!("{{hosts: {hosts}, http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}")
    };
    mesh.write(
        "1.yaml",
        &object(
            "VirtualService",
            "wide",
            &to("cart", "['*.shop.svc.cluster.local']"),
        ),
    );
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["cart:80=1"]);
    mesh.write(
        "2.yaml",
        &object("VirtualService", "narrow", &to("pay", "[pay]")),
    );
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["pay:80=1"]);
    assert_eq!(mesh.routes("shop/web-0", "cart"), ["cart:80=1"]);
    assert!(
        mesh.codes("VirtualService", "wide").is_empty(),
        "being wider is no conflict"
    );
}

#[test]
fn one_without_the_mesh_gateway_touches_no_sidecar() {
    let mut mesh = Mesh::shop();
    let spec = |gateways: &str| {
        format!(
            "{{hosts: [pay], gateways: {gateways}, http: [{{route: [{{destination: {{host: cart}}}}]}}]}}"
        )
    };
    mesh.write("vs.yaml", &object("VirtualService", "pay", &spec("[edge]")));
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["pay:80=1"]);
    mesh.write(
        "vs.yaml",
        &object("VirtualService", "pay", &spec("[edge, mesh]")),
    );
    assert_eq!(mesh.routes("shop/web-0", "pay"), ["cart:80=1"]);
}

#[test]
fn rules_are_looked_up_by_client_service_and_root_namespace() {
    let mut mesh = Mesh::shop();
    let lb = |host: &str, lb: &str| {
        format!("{{host: {host}, trafficPolicy: {{loadBalancer: {{simple: {lb}}}}}}}")
    };
    let full = "pay.shop.svc.cluster.local";
    let balance = |mesh: &mut Mesh, client: &str| {
        let cluster = mesh.cluster(client, full, &format!("{full}:80")).unwrap();
        format!("{:?} {}", cluster.load_balance, cluster.sources.len())
    };
    assert_eq!(balance(&mut mesh, "shop/web-0"), "Ewma 0");
    mesh.write(
        "root.yaml",
        &object("DestinationRule", "istio-system/all", &lb("'*'", "RANDOM")),
    );
    assert_eq!(balance(&mut mesh, "shop/web-0"), "Random 1");
    mesh.write(
        "service.yaml",
        &object("DestinationRule", "shop/pay", &lb("pay", "ROUND_ROBIN")),
    );
    assert_eq!(balance(&mut mesh, "shop/web-0"), "RoundRobin 1");
    assert_eq!(balance(&mut mesh, "front/web-0"), "RoundRobin 1");
    mesh.write(
        "client.yaml",
        &object("DestinationRule", "front/pay", &lb(full, "LEAST_REQUEST")),
    );
    assert_eq!(
        balance(&mut mesh, "front/web-0"),
        "LeastRequest 1",
        "the client's own namespace"
    );
    assert_eq!(balance(&mut mesh, "shop/web-0"), "RoundRobin 1");
    assert_eq!(balance(&mut mesh, "third/web-0"), "RoundRobin 1");
}

#[test]
fn rules_for_one_host_are_merged_and_subsets_override_block_by_block() {
    let mut mesh = Mesh::shop();
    mesh.write(
        "1.yaml",
        &object(
            "DestinationRule",
            "first",
            "{host: pay, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]}",
        ),
    );
    mesh.write(
        "2.yaml",
        &object(
            "DestinationRule",
            "second",
            "{host: pay, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, tls: {mode: DISABLE}}, \
             subsets: [{name: v1, labels: {version: other}}, {name: v2, labels: {version: v2}}]}",
        ),
    );
    mesh.write("vs.yaml", &object("VirtualService", "pay", &split(1, 1)));
    let mut of = |subset: &str| {
        let name = format!("pay.shop.svc.cluster.local:80{subset}");
        let cluster = mesh.cluster("shop/web-0", "pay", &name).unwrap();
        let label = cluster.labels.get("version").cloned().unwrap_or_default();
        format!(
            "{label} {:?} {:?} {}",
            cluster.load_balance,
            cluster.tls,
            cluster.sources.len()
        )
    };
    assert_eq!(of(""), " RoundRobin Disable 2");
    assert_eq!(
        of("#v1"),
        "v1 Random Disable 2",
        "the first of a name wins, its blocks override"
    );
    assert_eq!(of("#v2"), "v2 RoundRobin Disable 2");
}

#[test]
fn the_nearest_peer_authentication_decides() {
    let mut mesh = Mesh::shop();
    let mode = |mesh: &mut Mesh| format!("{:?}", mesh.inbound("shop/pay-v1-0").unwrap().mtls);
    assert_eq!(mode(&mut mesh), "Permissive");
    let pa = |name: &str, spec: &str| object("PeerAuthentication", name, spec);
    mesh.write(
        "mesh.yaml",
        &pa("istio-system/mesh", "{mtls: {mode: STRICT}}"),
    );
    assert_eq!(mode(&mut mesh), "Strict");
    mesh.write("ns.yaml", &pa("shop/ns", "{mtls: {mode: DISABLE}}"));
    assert_eq!(mode(&mut mesh), "Disable");
    mesh.write(
        "w.yaml",
        &pa(
            "shop/w",
            "{selector: {matchLabels: {app: pay}}, mtls: {mode: PERMISSIVE}}",
        ),
    );
    assert_eq!(mode(&mut mesh), "Permissive");
    mesh.write(
        "w.yaml",
        &pa(
            "shop/w",
            "{selector: {matchLabels: {app: pay}}, mtls: {mode: UNSET}}",
        ),
    );
    assert_eq!(mode(&mut mesh), "Disable", "UNSET inherits");
    mesh.write("ns2.yaml", &pa("shop/a-younger", "{mtls: {mode: STRICT}}"));
    assert_eq!(mode(&mut mesh), "Disable", "the oldest wins");
    assert_eq!(mesh.codes("PeerAuthentication", "a-younger"), ["Conflict"]);
    mesh.write(
        "root.yaml",
        &pa(
            "istio-system/sel",
            "{selector: {matchLabels: {app: pay}}, mtls: {mode: STRICT}}",
        ),
    );
    assert_eq!(mode(&mut mesh), "Disable");
    assert_eq!(
        mesh.codes("PeerAuthentication", "istio-system/sel")
            .last()
            .map(String::as_str),
        Some("Ignored")
    );
}

#[test]
fn disable_takes_the_identity_from_endpoints_and_says_so() {
    let mut mesh = Mesh::shop();
    let identities = |mesh: &mut Mesh| {
        let set = mesh.endpoints("pay").unwrap();
        (
            set.endpoints
                .iter()
                .filter(|it| it.identity.is_some())
                .count(),
            set.sources.len(),
        )
    };
    assert_eq!(identities(&mut mesh), (2, 0));
    let spec = "{selector: {matchLabels: {version: v2}}, mtls: {mode: DISABLE}}";
    mesh.write("pa.yaml", &object("PeerAuthentication", "pay", spec));
    assert_eq!(identities(&mut mesh), (1, 1));
    mesh.remove("pa.yaml");
    assert_eq!(identities(&mut mesh), (2, 0));
    mesh.instance("shop/pay-v1-0").membership = crate::source::Membership::Unmeshed;
    mesh.update();
    assert_eq!(identities(&mut mesh), (1, 0));
}

#[test]
fn what_an_unenforced_policy_selects_is_refused() {
    let mut mesh = Mesh::shop();
    let refused = |mesh: &mut Mesh| {
        ["shop/pay-v1-0", "shop/cart-v1-0"].map(|it| mesh.inbound(it).unwrap().refuse.is_some())
    };
    assert_eq!(refused(&mut mesh), [false, false]);
    let spec = "{selector: {matchLabels: {app: pay}}, action: ALLOW, rules: [{}]}";
    mesh.write("ap.yaml", &object("AuthorizationPolicy", "pay", spec));
    assert_eq!(refused(&mut mesh), [true, false]);
    assert_eq!(mesh.inbound("shop/pay-v1-0").unwrap().sources.len(), 1);
    mesh.write(
        "ap.yaml",
        &object("AuthorizationPolicy", "istio-system/pay", spec),
    );
    assert_eq!(
        refused(&mut mesh),
        [true, false],
        "the root namespace's selectors reach everywhere"
    );
    mesh.write("ap.yaml", &object("AuthorizationPolicy", "other/pay", spec));
    assert_eq!(refused(&mut mesh), [false, false]);
    let jwt =
        "{jwtRules: [{issuer: 'https://issuer.example', jwksUri: 'https://issuer.example/keys'}]}";
    mesh.write("ap.yaml", &object("RequestAuthentication", "shop/all", jwt));
    assert_eq!(refused(&mut mesh), [true, true]);
}
