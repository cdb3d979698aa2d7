//! The live table: one line for each edge, and a footer of what was measured.

use tokio::time::Instant;

use super::added::Added;
use super::load::LoadCounts;
use crate::measure::meter::UNKNOWN;
use crate::measure::{Edge, Meter, Span};
use crate::output::columns;
use crate::up::state::RunState;

/// Memory that sidecars share is counted for each: what `ps` would show.
const MIB: f64 = 1024.0 * 1024.0;

/// The table as lines.
pub(super) fn lines(
    run: &RunState,
    meter: &Meter,
    counts: &LoadCounts,
    added: &Added,
    now: Instant,
) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(edges(meter, now));
    lines.push(String::new());
    lines.push(footer(run, counts, added, &resident));
    let waiting: Vec<&str> = run
        .instances
        .iter()
        .filter(|instance| !instance.ready)
        .map(|instance| instance.key.name.as_str())
        .collect();
    if !waiting.is_empty() {
        lines.push(format!("not ready: {}", waiting.join(", ")));
    }
    lines
}

fn edges(meter: &Meter, now: Instant) -> Vec<String> {
    let head = [
        "FROM", "TO", "VERSION", "PROTOCOL", "RPS", "SUCCESS", "P50", "P90", "P99", "MTLS",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let seconds = meter.seconds(Span::Recent, now);
    for (edge, counts) in meter.edges(Span::Recent) {
        let quantile = |q| {
            let ms = counts.duration.quantile(q);
            ms.map_or("-".to_owned(), |ms| format!("{ms:.1}ms"))
        };
        let quiet = counts.requests <= 0.0;
        // A browser that left is no line; a workload that is quiet is one.
        if quiet && edge.source == UNKNOWN {
            continue;
        }
        let success = if quiet {
            "-".to_owned()
        } else {
            format!("{:.1}%", counts.success() * 100.0)
        };
        let mtls = mtls(meter, &edge);
        rows.push(vec![
            edge.source,
            edge.destination,
            edge.destination_version,
            edge.protocol,
            format!("{:.1}", counts.requests / seconds),
            success,
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            mtls,
        ]);
    }
    columns(&rows)
}

fn mtls(meter: &Meter, edge: &Edge) -> String {
    if meter.mtls(edge) { "yes" } else { "NO" }.to_owned()
}

fn footer(
    run: &RunState,
    counts: &LoadCounts,
    added: &Added,
    resident: &dyn Fn(u32) -> Option<u64>,
) -> String {
    let sidecars: Vec<u64> = run
        .instances
        .iter()
        .filter_map(|instance| resident(instance.sidecar_pid?))
        .collect();
    #[expect(
        clippy::cast_precision_loss,
        reason = "megabytes of memory, for people"
    )]
    let mib = sidecars.iter().sum::<u64>() as f64 / MIB;
    let time = match added.medians() {
        Some((direct, meshed)) => format!(
            "a pair of them adds {:.2} ms at p50 ({direct:.2} direct, {meshed:.2} meshed)",
            meshed - direct
        ),
        None => "what they add is being measured".to_owned(),
    };
    format!(
        "{} sidecars, {mib:.0} MB in all; {time}; {} requests, {} failed",
        sidecars.len(),
        counts.requests(),
        counts.failed()
    )
}

/// Bytes of a process in memory.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_one_line() {
        let now = Instant::now();
        let mut meter = Meter::default();
        meter.take(&[], now);
        let labels = "reporter=\"destination\",source_app=\"web-bff\",\
                      source_workload_namespace=\"production\",destination_app=\"user-service\",\
                      destination_workload_namespace=\"production\",destination_version=\"v1\",\
                      request_protocol=\"grpc\",response_code=\"200\",\
                      connection_security_policy=\"none\"";
        let text = format!(
            "istio_requests_total{{{labels}}} 20\n\
             istio_request_duration_milliseconds_bucket{{{labels},le=\"2\"}} 20\n\
             istio_request_duration_milliseconds_bucket{{{labels},le=\"+Inf\"}} 20\n"
        );
        let later = now + std::time::Duration::from_secs(2);
        meter.take(&[("p/a".to_owned(), text)], later);
        let expected = [
            "FROM     TO            VERSION  PROTOCOL  RPS   SUCCESS  P50    P90    P99    MTLS",
            "web-bff  user-service  v1       grpc      10.0  100.0%   1.0ms  1.8ms  2.0ms  NO",
        ];
        assert_eq!(edges(&meter, later), expected);
    }

    #[test]
    fn this_process_has_a_size() {
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }
}
