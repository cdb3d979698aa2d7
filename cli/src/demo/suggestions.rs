//! What to try next: whole commands to paste, each with what one will see.

use std::net::SocketAddr;
use std::path::Path;

use super::folder::OFF;
use crate::up::state::RunState;

/// The storefront's addresses and the suggestions.
pub(super) fn text(run: &RunState, weft: &Path) -> String {
    let weft = weft.display();
    let folder = run.folder.display();
    let policies = format!("{folder}/policies");
    let storefront = port(run, "web-bff").map(|port| format!("http://{}", port.0));
    let slow = port(run, "inventory-service").map(|port| format!("http://{}", port.1));
    let mut lines = vec![String::new(), "What to try next".to_owned()];
    let mut offer = |command: &str, see: &str| {
        lines.push(format!("  {command}"));
        lines.push(format!("      {see}"));
    };
    if let Some(storefront) = storefront {
        offer(
            &format!("xdg-open {storefront}/"),
            "the storefront in a browser; its button places an order and draws the hops",
        );
        offer(
            &format!(
                "curl -s {storefront}/api/orders -H 'content-type: application/json' \
                 -d '{{\"userId\": 1, \"items\": [{{\"productId\": 1, \"quantity\": 1}}]}}'"
            ),
            "the same as JSON: each hop with its milliseconds, version and identity",
        );
    }
    offer(
        &format!(
            "sed -i 's/weight: 90/weight: 50/; s/weight: 10$/weight: 50/' {policies}/payment-canary.yaml"
        ),
        "one line says how fast it is enforced; below, payment-service v1 and v2 draw level",
    );
    offer(
        &format!(
            "{weft} exec order-service -- curl -s -H 'user-type: beta' -H 'content-type: \
             application/json' -d '{{\"amountCents\": 100}}' http://payment-service/api/payments/1000001"
        ),
        "\"version\": \"v2\", every time: the header picks the canary whatever the weights are",
    );
    offer(
        &format!("mv {policies}/pricing-plaintext.yaml.{OFF} {policies}/pricing-plaintext.yaml"),
        "MTLS of the edge to pricing-service turns NO; move it back and it turns yes",
    );
    if let Some(slow) = slow {
        offer(
            &format!("curl -X POST {slow}/chaos -d '{{\"latency_ms\": 200}}'"),
            "one of three inventory-service replicas is slow now; its callers soon avoid it",
        );
    }
    offer(
        &format!("{weft} ps"),
        "every workload: readiness, identity, ports, process; kill one and it comes back",
    );
    lines.push("Ctrl-C ends everything and leaves nothing behind.".to_owned());
    lines.join("\n")
}

/// The sidecar's and the application's address of a workload's first instance.
fn port(run: &RunState, workload: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut all = run.instances.iter();
    let instance = all.find(|instance| instance.workload == workload)?;
    let port = instance.ports.inbound.first()?;
    Some((port.listen, port.app))
}
