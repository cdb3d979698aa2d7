//! The edges of the mesh, from the counters of the sidecars that received the requests.
//!
//! Place: fed several times a second with each sidecar's `/metrics`; asked by the live table and the
//! reports. Only `reporter="destination"` counts: each request once, and mutual TLS as the inbound
//! saw it; [`super::plain`] names the callers that an inbound cannot know without it. Invariants: a
//! counter that fell began anew and counts from nothing; what is asked of the recent past is
//! answered from the last seconds alone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use weft_proxy::observe::{DURATION_BUCKET as DURATION, REQUESTS_TOTAL as REQUESTS};

use super::plain::Plain;
use super::prometheus::{Sample, samples};
use super::quantile::Histogram;
use crate::up::state::RunState;

/// The window of what is recent.
pub const WINDOW: Duration = Duration::from_secs(10);

/// For one sidecar's answer.
const TIMEOUT: Duration = Duration::from_millis(800);

/// gRPC status codes that are the server's failure, as in Linkerd's success rate.
const GRPC_FAILURES: [&str; 6] = ["2", "4", "12", "13", "14", "15"];

/// One edge: who calls whom, in which version, by which protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The calling application; `unknown` for a client without a sidecar.
    pub source: String,
    /// Its namespace.
    pub source_namespace: String,
    /// The application that is called.
    pub destination: String,
    /// Its namespace.
    pub destination_namespace: String,
    /// Its version.
    pub destination_version: String,
    /// `http`, `grpc`.
    pub protocol: String,
}

/// What was counted on an edge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Requests answered.
    pub requests: f64,
    /// Of them, those that did not fail at the server's side.
    pub good: f64,
    /// Of them, those that came by mutual TLS.
    pub secure: f64,
    /// Milliseconds.
    pub duration: Histogram,
}

impl Counts {
    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.good += other.good;
        self.secure += other.secure;
        self.duration.merge(&other.duration);
    }

    /// The same, each number times `share`.
    #[must_use]
    pub fn scaled(&self, share: f64) -> Self {
        Self {
            requests: self.requests * share,
            good: self.good * share,
            secure: self.secure * share,
            duration: self.duration.scaled(share),
        }
    }

    /// The share of good requests; all of none are good.
    pub fn success(&self) -> f64 {
        if self.requests > 0.0 {
            self.good / self.requests
        } else {
            1.0
        }
    }
}

pub use weft_proxy::observe::labels::UNKNOWN;

/// Which time a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Since the run was ready.
    Whole,
    /// The last seconds.
    Recent,
}

/// All edges.
#[derive(Debug, Default)]
pub struct Meter {
    /// The last value of each series of each sidecar.
    seen: BTreeMap<String, BTreeMap<String, f64>>,
    whole: BTreeMap<Edge, Counts>,
    recent: VecDeque<(Instant, BTreeMap<Edge, Counts>)>,
    /// Whether the latest traffic of an edge came by mutual TLS.
    mtls: BTreeMap<Edge, bool>,
    began: Option<Instant>,
    plain: Plain,
}

impl Meter {
    /// Reads the counters of every sidecar of the run.
    pub async fn read(&mut self, run: &RunState, now: Instant) {
        let sidecars = run
            .instances
            .iter()
            .filter(|instance| instance.sidecar_pid.is_some());
        let reads: Vec<_> = sidecars
            .map(|instance| {
                let (name, admin) = (instance.key.to_string(), instance.ports.admin);
                weft_runtime::task::spawn("read-metrics", async move {
                    (
                        name,
                        crate::http::get(admin, "/metrics", &[], TIMEOUT).await,
                    )
                })
            })
            .collect();
        let mut texts = Vec::new();
        for read in reads {
            // A sidecar that does not answer now answers the next time.
            if let Ok((name, Ok(answer))) = read.await {
                texts.push((name, String::from_utf8_lossy(&answer.body).into_owned()));
            }
        }
        self.take(&texts, now);
    }

    /// Takes the texts of some sidecars, read at `now`.
    pub fn take(&mut self, texts: &[(String, String)], now: Instant) {
        let first = self.began.is_none();
        self.began.get_or_insert(now);
        let mut tick: BTreeMap<Edge, Counts> = BTreeMap::new();
        let mut sent: BTreeMap<Edge, f64> = BTreeMap::new();
        for (sidecar, text) in texts {
            let seen = self.seen.entry(sidecar.clone()).or_default();
            for sample in samples(text, &[REQUESTS, DURATION]) {
                let side = sample.label("reporter");
                if side != "destination" && sample.name != REQUESTS {
                    continue;
                }
                let before = seen
                    .insert(sample.series.to_owned(), sample.value)
                    .unwrap_or(0.0);
                let delta = if sample.value < before {
                    sample.value
                } else {
                    sample.value - before
                };
                if delta <= 0.0 || first {
                    continue;
                }
                match side {
                    "destination" => count(&mut tick, &sample, delta),
                    // What has a flag was answered by the caller's sidecar or broke off.
                    "source" if sample.label("response_flags") == "-" => {
                        *sent.entry(edge(&sample)).or_default() += delta;
                    }
                    _ => {}
                }
            }
        }
        self.plain.attribute(&mut tick, &sent, now);
        for (edge, counts) in &tick {
            self.whole.entry(edge.clone()).or_default().merge(counts);
            if counts.requests > 0.0 {
                self.mtls
                    .insert(edge.clone(), counts.secure >= counts.requests);
            }
        }
        self.recent.push_back((now, tick));
        while self
            .recent
            .front()
            .is_some_and(|(then, _)| now.duration_since(*then) > WINDOW)
        {
            self.recent.pop_front();
        }
    }

    /// The edges with their counts, sorted.
    pub fn edges(&self, span: Span) -> BTreeMap<Edge, Counts> {
        match span {
            Span::Whole => self.whole.clone(),
            Span::Recent => {
                let mut sum: BTreeMap<Edge, Counts> = self
                    .whole
                    .keys()
                    .map(|edge| (edge.clone(), Counts::default()))
                    .collect();
                for (edge, counts) in self.recent.iter().flat_map(|(_, tick)| tick) {
                    sum.entry(edge.clone()).or_default().merge(counts);
                }
                sum
            }
        }
    }

    /// Requests of an edge since the run was ready.
    pub fn total(&self, edge: &Edge) -> f64 {
        self.whole.get(edge).map_or(0.0, |counts| counts.requests)
    }

    /// Whether the latest traffic of an edge came by mutual TLS.
    pub fn mtls(&self, edge: &Edge) -> bool {
        self.mtls.get(edge).copied().unwrap_or(false)
    }

    /// The same for every edge that had traffic.
    pub fn mtls_of_all(&self) -> &BTreeMap<Edge, bool> {
        &self.mtls
    }

    /// How long the counts of a span took to gather.
    pub fn seconds(&self, span: Span, now: Instant) -> f64 {
        let since = self
            .began
            .map_or(Duration::ZERO, |began| now.duration_since(began));
        let span = match span {
            Span::Whole => since,
            Span::Recent => since.min(WINDOW),
        };
        span.as_secs_f64().max(0.001)
    }
}

fn count(tick: &mut BTreeMap<Edge, Counts>, sample: &Sample<'_>, delta: f64) {
    let counts = tick.entry(edge(sample)).or_default();
    if sample.name == DURATION {
        let bound = match sample.label("le") {
            "+Inf" => f64::INFINITY,
            text => text.parse().unwrap_or(f64::NAN),
        };
        counts.duration.add(bound, delta);
        return;
    }
    counts.requests += delta;
    if good(sample) {
        counts.good += delta;
    }
    if sample.label("connection_security_policy") == "mutual_tls" {
        counts.secure += delta;
    }
}

fn edge(sample: &Sample<'_>) -> Edge {
    let first = |labels: [&str; 3]| {
        let mut values = labels.iter().map(|label| sample.label(label));
        let known = values.find(|value| !matches!(*value, "" | UNKNOWN));
        known.unwrap_or(UNKNOWN).to_owned()
    };
    let or_unknown = |label: &str| match sample.label(label) {
        "" => UNKNOWN.to_owned(),
        value => value.to_owned(),
    };
    Edge {
        source: first(["source_canonical_service", "source_app", "source_workload"]),
        source_namespace: or_unknown("source_workload_namespace"),
        destination: first([
            "destination_canonical_service",
            "destination_app",
            "destination_workload",
        ]),
        destination_namespace: or_unknown("destination_workload_namespace"),
        destination_version: first([
            "destination_version",
            "destination_canonical_revision",
            "destination_version",
        ]),
        protocol: or_unknown("request_protocol"),
    }
}

/// Whether the server did not fail: below 500, and a gRPC status that is not its fault.
fn good(sample: &Sample<'_>) -> bool {
    let code: u16 = sample.label("response_code").parse().unwrap_or(0);
    let grpc = sample.label("grpc_response_status");
    (100..500).contains(&code) && !GRPC_FAILURES.contains(&grpc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: u16, security: &str, count: u32) -> String {
        let labels = format!(
            "reporter=\"destination\",source_canonical_service=\"order-service\",\
             source_workload_namespace=\"production\",destination_canonical_service=\"payment-service\",\
             destination_workload_namespace=\"production\",destination_version=\"v1\",\
             request_protocol=\"http\",response_code=\"{code}\",\
             connection_security_policy=\"{security}\""
        );
        let source = labels.replace("\"destination\"", "\"source\"");
        format!(
            "{REQUESTS}{{{labels}}} {count}\n{REQUESTS}{{{source}}} {count}\n\
             {DURATION}{{{labels},le=\"1\"}} {count}\n{DURATION}{{{labels},le=\"+Inf\"}} {count}\n"
        )
    }

    fn take(meter: &mut Meter, now: Instant, texts: &[String]) {
        let named: Vec<(String, String)> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| (format!("p/{index}"), text.clone()))
            .collect();
        meter.take(&named, now);
    }

    #[test]
    fn an_edge_is_the_sum_over_sidecars_and_restarts() {
        let now = Instant::now();
        let mut meter = Meter::default();
        take(&mut meter, now, &[text(200, "mutual_tls", 100)]);
        assert!(
            meter.edges(Span::Whole).is_empty(),
            "what was before does not count"
        );
        let second = now + Duration::from_secs(1);
        take(
            &mut meter,
            second,
            &[text(200, "mutual_tls", 110), text(503, "mutual_tls", 10)],
        );
        // The first sidecar began anew.
        let third = now + Duration::from_secs(2);
        take(
            &mut meter,
            third,
            &[text(200, "mutual_tls", 5), text(503, "mutual_tls", 10)],
        );
        let edges = meter.edges(Span::Whole);
        let (edge, counts) = edges.first_key_value().unwrap();
        assert_eq!(edges.len(), 1);
        assert_eq!(edge.source, "order-service");
        assert_eq!(edge.destination_version, "v1");
        assert_eq!(
            (counts.requests, counts.good, counts.secure),
            (25.0, 15.0, 25.0)
        );
        assert_eq!(counts.success(), 0.6);
        assert_eq!(counts.duration.quantile(0.5), Some(0.5));
        assert!(meter.mtls(edge));
        assert_eq!(meter.seconds(Span::Whole, third), 2.0);
    }

    #[test]
    fn mtls_follows_the_latest_traffic() {
        let now = Instant::now();
        let mut meter = Meter::default();
        take(&mut meter, now, &[]);
        let mut at = |seconds, texts: &[String]| {
            take(&mut meter, now + Duration::from_secs(seconds), texts);
            let edges = meter.edges(Span::Recent);
            meter.mtls(edges.first_key_value().unwrap().0)
        };
        let secure = text(200, "mutual_tls", 10);
        assert!(at(1, std::slice::from_ref(&secure)));
        let plain = format!("{secure}{}", text(200, "none", 1));
        assert!(!at(2, std::slice::from_ref(&plain)));
        assert!(!at(3, &[plain]), "no traffic changes nothing");
        let again = format!("{}{}", text(200, "mutual_tls", 11), text(200, "none", 1));
        assert!(at(4, &[again]));
    }

    #[test]
    fn the_recent_past_forgets() {
        let now = Instant::now();
        let mut meter = Meter::default();
        take(&mut meter, now, &[]);
        take(
            &mut meter,
            now + Duration::from_secs(1),
            &[text(200, "none", 9)],
        );
        let later = now + Duration::from_secs(12);
        take(&mut meter, later, &[text(200, "none", 10)]);
        let requests = |span| {
            meter
                .edges(span)
                .values()
                .map(|counts| counts.requests)
                .sum::<f64>()
        };
        assert_eq!(requests(Span::Whole), 10.0);
        assert_eq!(requests(Span::Recent), 1.0);
        assert_eq!(meter.seconds(Span::Recent, later), 10.0);
    }
}
