//! The metrics root: one registry per process, and its text in the format that was asked for.
//!
//! Place: `main` calls [`root`], every module registers the families that it moves, and the admin
//! server encodes them on scrape through an [`Exposition`]. Invariants: nothing here runs between
//! scrapes; without an `Accept` header the classic Prometheus text format (0.0.4) is served, since
//! every tool reads that one; `process_*` and `weft_runtime_*` are always there.

mod classic;
mod process;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

/// Content type of the classic text format.
pub const CLASSIC_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Content type of OpenMetrics.
pub const OPENMETRICS_CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Names of the families registered by this crate, for the table of all families.
pub const FAMILIES: [&str; 11] = [
    "weft_build_info",
    "weft_runtime_task_panics_total",
    "weft_runtime_log_lines_dropped_total",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_threads",
    "process_start_time_seconds",
    "weft_runtime_ready",
];

/// A registry with the families that every binary has: `weft_build_info{component, version}`,
/// `process_*` and `weft_runtime_*`.
pub fn root(component: &'static str, version: &'static str) -> Registry {
    let mut registry = Registry::default();
    let info = Family::<[(&'static str, &'static str); 2], Gauge>::default();
    info.get_or_create(&[("component", component), ("version", version)])
        .set(1);
    registry.register(
        "weft_build_info",
        "The running component and its version; always 1",
        info,
    );
    registry.register_collector(Box::new(process::Process::new()));
    registry.register_collector(Box::new(RuntimeCollector));
    registry
}

/// What this crate counts about itself.
#[derive(Debug)]
struct RuntimeCollector;

impl Collector for RuntimeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(
            "weft_runtime_task_panics",
            "Tasks that ended by a panic, by task name; a bug each",
            None,
            MetricType::Counter,
        )?;
        for (task, count) in crate::task::panics() {
            ConstCounter::new(count).encode(family.encode_family(&[("task", task)])?)?;
        }
        let dropped = ConstCounter::new(crate::log::dropped_lines());
        dropped.encode(encoder.encode_descriptor(
            "weft_runtime_log_lines_dropped",
            "Log lines dropped because their reader was too slow",
            None,
            MetricType::Counter,
        )?)
    }
}

/// Serves the process's readiness as a gauge, so that an alert can name it.
#[derive(Debug)]
struct ReadyCollector(crate::ready::Readiness);

impl Collector for ReadyCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        ConstGauge::new(i64::from(self.0.is_ready())).encode(encoder.encode_descriptor(
            "weft_runtime_ready",
            "1 while /ready answers 200",
            None,
            MetricType::Gauge,
        )?)
    }
}

/// Registers `weft_runtime_ready` for `readiness`.
pub fn register_readiness(registry: &mut Registry, readiness: &crate::ready::Readiness) {
    registry.register_collector(Box::new(ReadyCollector(readiness.clone())));
}

/// The format of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Prometheus text 0.0.4.
    Classic,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl TextFormat {
    /// What an `Accept` header asks for. OpenMetrics must be named with a weight above zero and not
    /// below that of `text/plain`; everything else gets the classic format.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let Some(accept) = accept else {
            return Self::Classic;
        };
        let mut open = 0.0_f32;
        let mut classic = 0.0_f32;
        for item in accept.split(',') {
            let mut parts = item.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|p| p.strip_prefix("q="))
                .and_then(|q| q.trim().parse::<f32>().ok())
                .unwrap_or(1.0);
            if media.eq_ignore_ascii_case("application/openmetrics-text") {
                open = open.max(weight);
            } else if media.eq_ignore_ascii_case("text/plain") {
                classic = classic.max(weight);
            }
        }
        if open > 0.0 && open >= classic {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Classic => CLASSIC_CONTENT_TYPE,
            Self::OpenMetrics => OPENMETRICS_CONTENT_TYPE,
        }
    }
}

/// A finished registry, ready to be scraped. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exposition {
    registry: Arc<Registry>,
}

impl Exposition {
    /// Takes the registry, which cannot grow any more.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry: Arc::new(registry),
        }
    }

    /// The text of every family now.
    pub fn encode(&self, format: TextFormat) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a String cannot fail; a collector that reports an error cuts its own output.
        let encoded = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        if encoded.is_err() {
            tracing::warn!("a metric family could not be encoded");
        }
        match format {
            TextFormat::OpenMetrics => text,
            TextFormat::Classic => classic::from_openmetrics(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;

    #[test]
    fn the_classic_format_is_the_default() {
        let cases: [(Option<&str>, TextFormat); 7] = [
            (None, TextFormat::Classic),
            (Some("*/*"), TextFormat::Classic),
            (Some("text/plain"), TextFormat::Classic),
            (
                Some("application/openmetrics-text; version=1.0.0"),
                TextFormat::OpenMetrics,
            ),
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;q=0.5,\
                     application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                TextFormat::OpenMetrics,
            ),
            (
                Some("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.1"),
                TextFormat::Classic,
            ),
            (
                Some("application/openmetrics-text;q=0"),
                TextFormat::Classic,
            ),
        ];
        for (accept, expected) in cases {
            assert_eq!(TextFormat::negotiate(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_root_has_what_every_binary_has() {
        let mut registry = root("test", "1.2.3");
        register_readiness(&mut registry, &crate::ready::Readiness::new());
        let counter = Counter::<u64>::default();
        registry.register("weft_test", "For the test", counter.clone());
        counter.inc_by(3);
        let exposition = Exposition::new(registry);
        let classic = exposition.encode(TextFormat::Classic);
        assert!(classic.contains("weft_build_info{component=\"test\",version=\"1.2.3\"} 1\n"));
        assert!(classic.contains("# TYPE weft_test_total counter\nweft_test_total 3\n"));
        assert!(!classic.contains("# EOF"));
        for family in FAMILIES {
            assert!(
                classic.contains(&format!("# TYPE {family} ")),
                "{family} in\n{classic}"
            );
        }
        let open = exposition.encode(TextFormat::OpenMetrics);
        assert!(
            open.contains("# TYPE weft_test counter\nweft_test_total 3\n"),
            "{open}"
        );
        assert!(open.ends_with("# EOF\n"));
    }
}
