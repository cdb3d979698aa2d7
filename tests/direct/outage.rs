//! The mesh without its control plane, and with certificates that live a minute.

use crate::fixture::{canary, pay, peer_authentication, subsets};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use weft_e2e::{
    load::{Load, Until},
    long,
    mesh::{Mesh, fetch},
};
use weft_testkit::{tier, wait::eventually};

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("the process is there");
}

#[tokio::test]
async fn a_killed_controller_costs_no_request_and_its_return_brings_what_was_edited_meanwhile() {
    tier!("e2e", tier::binary("weft"));
    let mesh = Mesh::up(&[
        ("pay.yaml", &pay()),
        ("subsets.yaml", &subsets("pay")),
        ("canary.yaml", &canary("pay", 100, 0)),
    ])
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    mesh.enforced("VirtualService", "pay").await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let load = Load::new(proxy, "http://pay/", 8)
        .pace(Duration::from_millis(5))
        .start(Until::Elapsed(Duration::from_secs(180)));
    // The supervisor starts it again at once; stopped, the new one is as good as dead for longer.
    let outage = Duration::from_secs(if long() { 60 } else { 5 });
    let (killed, _) = mesh.controller().unwrap();
    signal(killed, Signal::KILL);
    let again = eventually(Duration::from_secs(20), "a new controller", || async {
        match mesh.controller() {
            Ok((pid, _)) if pid != killed => Ok(pid),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    signal(again, Signal::STOP);
    mesh.write("canary.yaml", &canary("pay", 0, 100)).unwrap();
    tokio::time::sleep(outage).await;
    signal(again, Signal::CONT);
    let one = Load::new(proxy, "http://pay/", 1);
    eventually(
        Duration::from_secs(5),
        "the edit to be in force",
        || async {
            let (_, reply, _) = one.once().await.map_err(|error| error.to_string())?;
            if reply["x-backend"] == "pay-v2" {
                Ok(())
            } else {
                Err("not yet".to_owned())
            }
        },
    )
    .await;
    let report = load.stop().await;
    assert!(report.total() > 500, "{}", report.total());
    assert_eq!(report.failed(), 0, "{:?}", report.failures);
}

#[tokio::test]
async fn certificates_of_a_minute_are_renewed_under_load_and_nothing_fails() {
    tier!("e2e", tier::binary("weft"));
    let settings = "apiVersion: weft.dev/v1
kind: MeshConfig
metadata:
  name: default
spec:
  certificateLifetime: 60s
";
    let mesh = Mesh::up(&[
        ("pay.yaml", &pay()),
        ("mesh.yaml", settings),
        ("mtls.yaml", &peer_authentication("STRICT")),
    ])
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    let proxy = mesh.instance("client-0").unwrap().outbound;
    let load = Load::new(proxy, "http://pay/", 8)
        .pace(Duration::from_millis(5))
        .start(Until::Elapsed(Duration::from_secs(300)));
    let serials = || async {
        let mut serials = Vec::new();
        for name in ["client-0", "pay-v1-0"] {
            let config = fetch(mesh.instance(name)?.admin, "/config").await?;
            let config: serde_json::Value = serde_json::from_slice(&config)?;
            serials.push(config["certificate"]["serial"].to_string());
        }
        anyhow::Ok(serials)
    };
    let mut seen = serials().await.unwrap();
    for _ in 0..if long() { 3 } else { 1 } {
        seen = eventually(
            Duration::from_secs(75),
            "new certificates on both sides",
            || async {
                let now = serials().await.map_err(|error| error.to_string())?;
                if now.iter().zip(&seen).all(|(now, before)| now != before) {
                    Ok(now)
                } else {
                    Err(format!("{now:?}"))
                }
            },
        )
        .await;
        let after = Load::new(proxy, "http://pay/", 2)
            .run(Until::Count(100))
            .await;
        assert_eq!(after.failed(), 0, "{:?}", after.failures);
    }
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{:?}", report.failures);
}

#[tokio::test]
async fn a_stopped_sidecar_keeps_programmed_below_needed() {
    tier!("e2e", tier::binary("weft"));
    let mesh = Mesh::up(&[
        ("pay.yaml", &pay()),
        ("subsets.yaml", &subsets("pay")),
        ("canary.yaml", &canary("pay", 100, 0)),
        ("mtls.yaml", &peer_authentication("PERMISSIVE")),
    ])
    .await
    .expect("the mesh starts");
    mesh.reaches("pay", 2).await;
    mesh.enforced("PeerAuthentication", "default").await;
    let stopped = mesh.instance("pay-v2-0").unwrap().sidecar_pid;
    signal(stopped, Signal::STOP);
    mesh.write("mtls.yaml", &peer_authentication("STRICT"))
        .unwrap();
    let partly = eventually(Duration::from_secs(10), "the others to have it", || async {
        let policy = mesh
            .policy("PeerAuthentication", "default")
            .await
            .map_err(|error| error.to_string())?;
        let programmed = policy["programmed"].as_i64().unwrap_or(0);
        let needed = policy["needed"].as_i64().unwrap_or(0);
        if needed == 2 && programmed == 1 {
            Ok(policy)
        } else {
            Err(policy.to_string())
        }
    })
    .await;
    assert_eq!(partly["accepted"], true);
    signal(stopped, Signal::CONT);
    mesh.enforced("PeerAuthentication", "default").await;
}
