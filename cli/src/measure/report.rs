//! The JSON object of a run: edges, workloads, policies.
//!
//! What it is made of is documented for users; field names are a contract. The last object of a
//! run is about the whole of it; those of `--watch` have rates, success and percentiles of the last
//! seconds and `requests` since the beginning.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::meter::{Counts, Edge, Meter, Span};
use crate::up::state::RunState;

/// For the controller's answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    duration_s: f64,
    requests: u64,
    failed: u64,
    edges: Vec<EdgeReport>,
    workloads: Vec<WorkloadReport>,
    policies: Value,
}

/// One edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EdgeReport {
    source: String,
    source_namespace: String,
    destination: String,
    destination_namespace: String,
    destination_version: String,
    protocol: String,
    requests: u64,
    success: f64,
    rps: f64,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
    mtls: bool,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkloadReport {
    name: String,
    identity: String,
    ready: bool,
    restarts: u32,
}

impl Report {
    /// Gathers the report; asks the controller for the policies. `load` is what a load generator
    /// counted; without one the edges are added up.
    pub async fn make(
        run: &RunState,
        meter: &Meter,
        duration: Duration,
        span: Span,
        load: Option<(u64, u64)>,
    ) -> Self {
        Self::of(run, meter, duration, span, load, policies(run).await)
    }

    fn of(
        run: &RunState,
        meter: &Meter,
        duration: Duration,
        span: Span,
        load: Option<(u64, u64)>,
        policies: Value,
    ) -> Self {
        let whole = meter.edges(Span::Whole);
        let (requests, failed) = load.unwrap_or_else(|| {
            let sum = |of: fn(&Counts) -> f64| whole.values().map(of).sum::<f64>();
            let requests = sum(|counts| counts.requests);
            (
                number(requests),
                number(requests - sum(|counts| counts.good)),
            )
        });
        let seconds = meter.seconds(span, Instant::now());
        let edges = meter
            .edges(span)
            .into_iter()
            .map(|(edge, counts)| edge_report(meter, edge, &counts, seconds))
            .collect();
        let workloads = run.instances.iter().map(|instance| WorkloadReport {
            name: instance.key.name.clone(),
            identity: instance.identity.clone(),
            ready: instance.ready,
            restarts: instance.restarts,
        });
        Self {
            duration_s: rounded(duration.as_secs_f64(), 1),
            requests,
            failed,
            edges,
            workloads: workloads.collect(),
            policies,
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        // Only strings, numbers and what was JSON before: it cannot fail.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

fn edge_report(meter: &Meter, edge: Edge, counts: &Counts, seconds: f64) -> EdgeReport {
    let quantile = |q| counts.duration.quantile(q).map(|ms| rounded(ms, 3));
    EdgeReport {
        requests: number(meter.total(&edge)),
        success: rounded(counts.success(), 4),
        rps: rounded(counts.requests / seconds, 1),
        p50_ms: quantile(0.5),
        p90_ms: quantile(0.9),
        p99_ms: quantile(0.99),
        mtls: meter.mtls(&edge),
        source: edge.source,
        source_namespace: edge.source_namespace,
        destination: edge.destination,
        destination_namespace: edge.destination_namespace,
        destination_version: edge.destination_version,
        protocol: edge.protocol,
    }
}

/// What the controller says of each policy object; empty while it does not run.
async fn policies(run: &RunState) -> Value {
    let empty = || Value::Array(Vec::new());
    let Some(controller) = &run.controller else {
        return empty();
    };
    match crate::http::get(controller.admin, "/policies", &[], TIMEOUT).await {
        Ok(answer) => serde_json::from_slice(&answer.body).unwrap_or_else(|_| empty()),
        Err(_) => empty(),
    }
}

/// A count as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of requests: not negative, and far below where a float loses ones"
)]
fn number(count: f64) -> u64 {
    count.round().max(0.0) as u64
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_the_documented_fields() {
        let now = Instant::now();
        let mut meter = Meter::default();
        meter.take(&[], now);
        let labels = "reporter=\"destination\",source_app=\"order-service\",\
                      source_workload_namespace=\"production\",destination_app=\"payment-service\",\
                      destination_workload_namespace=\"production\",destination_version=\"v1\",\
                      request_protocol=\"http\",response_code=\"200\",\
                      connection_security_policy=\"mutual_tls\"";
        let text = format!(
            "istio_requests_total{{{labels}}} 10\n\
             istio_request_duration_milliseconds_bucket{{{labels},le=\"2\"}} 10\n\
             istio_request_duration_milliseconds_bucket{{{labels},le=\"+Inf\"}} 10\n"
        );
        meter.take(&[("p/a".to_owned(), text)], now);
        let run = RunState {
            pid: 1,
            run: "/run".into(),
            folder: "/folder".into(),
            namespace: "production".to_owned(),
            controller: None,
            instances: Vec::new(),
        };
        let policies = serde_json::json!([{"kind": "VirtualService"}]);
        let report = Report::of(
            &run,
            &meter,
            Duration::from_secs(30),
            Span::Whole,
            Some((12, 1)),
            policies,
        );
        let mut json = report.json();
        let rps = json.pointer_mut("/edges/0/rps").unwrap();
        assert!(rps.as_f64().unwrap() > 0.0);
        *rps = Value::Null;
        let expected = serde_json::json!({
            "duration_s": 30.0, "requests": 12, "failed": 1,
            "edges": [{"source": "order-service", "source_namespace": "production",
                "destination": "payment-service", "destination_namespace": "production",
                "destination_version": "v1", "protocol": "http", "requests": 10, "success": 1.0,
                "rps": null, "p50_ms": 1.0, "p90_ms": 1.8, "p99_ms": 1.98, "mtls": true}],
            "workloads": [], "policies": [{"kind": "VirtualService"}]
        });
        assert_eq!(json, expected);
    }
}
