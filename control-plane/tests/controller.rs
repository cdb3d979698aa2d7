//! The controller over its real port and real folders, with a proxy that the test speaks for.
//!
//! Long because: each test is a conversation over the whole controller.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use support::{Mesh, RULE, SERVICES, SOON, instance, instances, own, pay, split};
use tonic::Code;
use weft_api::pb;
use weft_model::{inbound::MtlsMode, resource::Resource};
use weft_testkit::{tier, wait};

async fn connected(mesh: &Mesh, instance: &str) -> support::Talk {
    let proxy = mesh.proxy();
    proxy.join(instance).await;
    let mut talk = proxy
        .open(true, &format!("shop/{instance}"), BTreeMap::new())
        .await
        .unwrap();
    let mut wanted = own();
    wanted.push(pay());
    talk.subscribe(&wanted, 1).await;
    talk.take_until(|it| it.synced && it.answers.contains_key(&pay()))
        .await;
    talk
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_reaches_the_proxies_and_is_said_once() {
    let mesh = Mesh::start().await;
    let mut one = connected(&mesh, "cart-v1-0").await;
    let mut other = connected(&mesh, "cart-v1-1").await;
    assert_eq!(one.weights(), [1], "default routing");
    let Some((_, Resource::Workload(own))) = one.resources.get(&"workload".parse().unwrap()) else {
        panic!("{:?}", one.resources)
    };
    assert_eq!(
        own.identity.as_str(),
        "spiffe://cluster.local/ns/shop/sa/cart"
    );

    // The route before its subsets: held, then released together with them.
    mesh.write("pay.yaml", &split(90, 10));
    mesh.line(&["added VirtualService shop/pay (pay.yaml:1): held, nothing of it is in force"])
        .await;
    mesh.write("rule.yaml", RULE);
    for talk in [&mut one, &mut other] {
        talk.take_until(|it| it.weights() == [90, 10]).await;
    }
    mesh.line(&[
        "added DestinationRule shop/pay",
        "released VirtualService shop/pay",
        "enforced by 2/2 proxies",
    ])
    .await;

    mesh.write("pay.yaml", &split(50, 50));
    one.take_until(|it| it.weights() == [50, 50]).await;
    let policies = mesh.json("/policies").await;
    let route = policies
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["kind"] == "VirtualService")
        .unwrap()
        .clone();
    assert_eq!(
        (&route["accepted"], &route["needed"], &route["generation"]),
        (&true.into(), &2.into(), &2.into())
    );
    other.take_until(|it| it.weights() == [50, 50]).await;
    mesh.line(&[
        "changed VirtualService shop/pay (pay.yaml:1): enforced by 2/2 proxies in ",
        " ms",
    ])
    .await;
    let policies = mesh.json("/policies").await;
    let programmed = policies
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["programmed"].clone())
        .collect::<Vec<_>>();
    assert_eq!(programmed, [2, 2]);
    let said = mesh
        .lines
        .lock()
        .iter()
        .filter(|it| it.contains("changed VirtualService"))
        .count();
    assert_eq!(said, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_answer_keeps_programmed_below_needed() {
    let mesh = Mesh::start().await;
    mesh.write("rule.yaml", RULE);
    mesh.line(&["added DestinationRule"]).await;
    let mut one = connected(&mesh, "cart-v1-0").await;
    let mut stopped = connected(&mesh, "cart-v1-1").await;
    mesh.write("pay.yaml", &split(90, 10));
    one.take_until(|it| it.weights() == [90, 10]).await;
    let unanswered = stopped.receive().await.unwrap();
    let status = || async {
        let policies = mesh.json("/policies").await;
        let route = policies
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["kind"] == "VirtualService")
            .unwrap()
            .clone();
        (
            route["programmed"].as_u64().unwrap(),
            route["needed"].as_u64().unwrap(),
        )
    };
    wait::eventually(SOON, "one of two", || async {
        let now = status().await;
        if now == (1, 2) { Ok(()) } else { Err(now) }
    })
    .await;
    // It comes back: the same edit is enforced by both.
    stopped.acknowledge(&unanswered, Vec::new()).await;
    mesh.line(&["added VirtualService shop/pay", "enforced by 2/2 proxies"])
        .await;
    assert_eq!(status().await, (2, 2));
    // A proxy whose stream is gone still needs what it needed.
    drop(stopped);
    mesh.write("pay.yaml", &split(80, 20));
    one.take_until(|it| it.weights() == [80, 20]).await;
    wait::eventually(SOON, "one of two", || async {
        let now = status().await;
        if now == (1, 2) { Ok(()) } else { Err(now) }
    })
    .await;
    // Until its workload is gone.
    let left: Vec<_> = instances()
        .into_iter()
        .filter(|it| it["name"] != "cart-v1-1")
        .collect();
    mesh.register(&left);
    mesh.line(&["changed VirtualService shop/pay", "enforced by 1/1 proxies"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_needs_the_certificate_of_the_workload_that_is_named() {
    let mesh = Mesh::start().await;
    let proxy = mesh.proxy();
    proxy.join("cart-v1-0").await;
    // The positive control is every other test.
    let refused = proxy
        .open(false, "shop/cart-v1-0", BTreeMap::new())
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let mut talk = proxy
        .open(true, "shop/pay-v1-0", BTreeMap::new())
        .await
        .unwrap();
    let refused = talk.receive().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let mut talk = proxy.open(true, "nonsense", BTreeMap::new()).await.unwrap();
    assert_eq!(
        talk.receive().await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let (_, metrics) = mesh.page("/metrics").await;
    for reason in ["no_certificate", "identity", "no_workload"] {
        let line = format!("weft_controller_streams_refused_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_not_known_yet_is_held() {
    let mesh = Mesh::start().await;
    let proxy = mesh.proxy();
    proxy.join("cart-v1-0").await;
    let mut talk = proxy
        .open(true, "shop/cart-v1-9", BTreeMap::new())
        .await
        .unwrap();
    talk.subscribe(&own(), 7).await;
    wait::eventually(SOON, "the held stream", || async {
        let (_, metrics) = mesh.page("/metrics").await;
        if metrics.contains("weft_controller_streams{state=\"held\"} 1") {
            Ok(())
        } else {
            Err(metrics)
        }
    })
    .await;
    let mut all = instances();
    all.push(instance("cart-v1-9", "cart", "v1", 41009));
    mesh.register(&all);
    let batch = talk.take().await;
    assert!(batch.initial_sync_done);
    assert_eq!(batch.done, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_gives_the_certificate_of_its_workload_whatever_is_asked_for() {
    let mesh = Mesh::start().await;
    let proxy = mesh.proxy();
    let other = "spiffe://cluster.local/ns/weft-system/sa/weft-controller";
    let leaf = proxy.certify("pay-v1-0", other, 120).await.unwrap();
    assert_eq!(leaf.id().as_str(), "spiffe://cluster.local/ns/shop/sa/pay");
    let life = leaf.not_after().duration_since(leaf.not_before()).unwrap();
    assert_eq!(
        life,
        Duration::from_secs(180),
        "120 s and the minute before"
    );
    let refused = proxy.certify("somebody", other, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let refused = proxy.certify("", other, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let (_, metrics) = mesh.page("/metrics").await;
    for outcome in ["signed", "unknown_token", "bad_request"] {
        let line = format!("weft_controller_certificates_total{{outcome=\"{outcome}\"}} 1");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_orphans_nobody_and_sends_nothing_again() {
    let mut mesh = Mesh::start().await;
    mesh.write("rule.yaml", RULE);
    mesh.write("pay.yaml", &split(90, 10));
    mesh.line(&["VirtualService shop/pay"]).await;
    let root = std::fs::read(mesh.run.path().join("root.pem")).unwrap();
    let mut talk = connected(&mesh, "cart-v1-0").await;
    talk.take_until(|it| it.weights() == [90, 10]).await;
    let known = talk.versions();
    mesh.stop().await;
    let farewell = talk.receive().await.unwrap();
    assert!(farewell.go_away.is_some(), "{farewell:?}");
    // Broken while nobody looks: the object stays as it was.
    mesh.write("pay.yaml", &(split(10, 90) + "oops: ["));
    mesh.restart().await;
    assert_eq!(
        std::fs::read(mesh.run.path().join("root.pem")).unwrap(),
        root
    );
    let proxy = mesh.proxy();
    proxy.join("cart-v1-0").await;
    let mut talk = proxy
        .open(true, "shop/cart-v1-0", known.clone())
        .await
        .unwrap();
    let mut wanted = own();
    wanted.push(pay());
    talk.subscribe(&wanted, 1).await;
    let batch = talk.take().await;
    assert!(
        batch.upsert.is_empty() && batch.endpoints.is_empty(),
        "{batch:?}"
    );
    assert_eq!((batch.answers.len(), batch.initial_sync_done), (4, true));
    // And edits go on.
    mesh.write("pay.yaml", &split(10, 90));
    let name = "outbound/pay.shop.svc.cluster.local:80".parse().unwrap();
    talk.take_until(|it| it.resources.contains_key(&name)).await;
    assert_eq!(talk.weights(), [10, 90]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_resource_is_a_problem_of_the_objects_that_made_it() {
    let mesh = Mesh::start().await;
    mesh.write("rule.yaml", RULE);
    mesh.line(&["added DestinationRule"]).await;
    let mut talk = connected(&mesh, "cart-v1-0").await;
    mesh.write("pay.yaml", &split(90, 10));
    let batch = talk.receive().await.unwrap();
    let reject = pb::Reject {
        name: "outbound/pay.shop.svc.cluster.local:80".to_owned(),
        version: bytes::Bytes::new(),
        field: "outbound.http[0]".to_owned(),
        reason: "is not known here".to_owned(),
    };
    talk.acknowledge(&batch, vec![reject]).await;
    let problem = wait::eventually(SOON, "the problem", || async {
        let policies = mesh.json("/policies").await;
        let route = policies
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["kind"] == "VirtualService")
            .unwrap()
            .clone();
        route["problems"]
            .as_array()
            .unwrap()
            .first()
            .cloned()
            .ok_or(route)
    })
    .await;
    assert_eq!(problem["code"], "Rejected");
    assert_eq!(problem["file"], "pay.yaml");
    assert!(
        problem["reason"]
            .as_str()
            .unwrap()
            .contains("outbound.http[0]: is not known here"),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_pages_tell_what_is_known() {
    let mesh = Mesh::start().await;
    assert_eq!(mesh.page("/ready").await.0, 200);
    mesh.write("pa.yaml", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: strict}\nspec: {mtls: {mode: STRICT}}\n");
    mesh.line(&["added PeerAuthentication shop/strict (pa.yaml:1): no proxy needs it yet"])
        .await;
    let config = mesh.json("/config?workload=shop/pay-v1-0").await;
    let names: Vec<&str> = config["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"inbound/8080")
            && names.contains(&"outbound/cart.shop.svc.cluster.local:80"),
        "{names:?}"
    );
    assert_eq!(mesh.page("/config?workload=shop/nobody").await.0, 404);
    assert_eq!(mesh.page("/config").await.0, 400);
    let mut talk = connected(&mesh, "pay-v1-0").await;
    let Some((_, Resource::Inbound(inbound))) =
        talk.resources.get(&"inbound/8080".parse().unwrap())
    else {
        panic!()
    };
    assert_eq!(inbound.mtls, MtlsMode::Strict);
    wait::eventually(SOON, "the settled proxy", || async {
        let proxies = mesh.json("/proxies").await;
        if proxies[0]["settled"] == true && proxies[0]["workload"] == "shop/pay-v1-0" {
            Ok(())
        } else {
            Err(proxies)
        }
    })
    .await;
    let events = mesh.json("/events?since=0").await;
    let last = events.as_array().unwrap().last().unwrap()["seq"]
        .as_u64()
        .unwrap();
    mesh.write("pa.yaml", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: strict}\nspec: {mtls: {mode: PERMISSIVE}}\n");
    talk.take().await;
    mesh.line(&["changed PeerAuthentication", "enforced by 1/1 proxies"])
        .await;
    let events = mesh.json(&format!("/events?since={last}")).await;
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
    // A file that is no YAML shows on its objects, with its line.
    mesh.write("pa.yaml", "apiVersion: [\n");
    mesh.line(&[
        "pa.yaml:",
        "SyntaxError",
        "its one object stays as it was before",
    ])
    .await;
    let policies = mesh.json("/policies").await;
    assert_eq!(policies[0]["problems"][0]["code"], "SyntaxError");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_speaks_tls_1_3_by_the_root_that_proxies_are_given() {
    tier!("direct", weft_testkit::tier::program("openssl"));
    let mesh = Mesh::start().await;
    let root = mesh.run.path().join("root.pem");
    let client = |version: &'static str| {
        let (root, address) = (root.clone(), mesh.addresses().grpc.to_string());
        async move {
            let args = [
                "s_client",
                "-connect",
                &address,
                version,
                "-alpn",
                "h2",
                "-verify_return_error",
                "-CAfile",
            ];
            tokio::process::Command::new("openssl")
                .args(args)
                .arg(root)
                .stdin(Stdio::null())
                .output()
                .await
                .unwrap()
        }
    };
    let output = client("-tls1_3").await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("Verify return code: 0 (ok)") && text.contains("TLSv1.3"),
        "{text}"
    );
    let output = client("-tls1_2").await;
    assert!(!output.status.success(), "TLS 1.2 is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn editors_that_rename_and_folders_below_are_seen() {
    let mesh = Mesh::start().await;
    let below = mesh.folder.path().join("deep/er");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(below.join("rule.yml"), RULE).unwrap();
    mesh.line(&["added DestinationRule shop/pay (deep/er/rule.yml:1)"])
        .await;
    let temporary = mesh.folder.path().join(".rule.swp");
    std::fs::write(&temporary, RULE.replace("v2", "v3")).unwrap();
    std::fs::rename(&temporary, below.join("rule.yml")).unwrap();
    mesh.line(&["changed DestinationRule shop/pay"]).await;
    std::fs::remove_file(below.join("rule.yml")).unwrap();
    mesh.line(&["removed DestinationRule shop/pay"]).await;
    mesh.write("services.yaml", &SERVICES.replace("port: 80,", "port: 81,"));
    mesh.line(&["changed Service shop/cart", "changed Service shop/pay"])
        .await;
}
