//! The standard `process_*` families, read from /proc on each scrape.
//!
//! Place: registered by [`super::root`]. Names and units are those of every Prometheus client
//! library, so that existing dashboards work. What cannot be read is left out.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::Resource;

/// Reads /proc/self.
#[derive(Debug)]
pub(super) struct Process {
    ticks_per_second: f64,
    page_bytes: u64,
    /// Seconds since the epoch; constant, so read once.
    start_seconds: Option<f64>,
}

/// The fields of /proc/self/stat that are used.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Process {
    pub(super) fn new() -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "ticks per second are about a hundred"
        )]
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1) as f64;
        let mut process = Self {
            ticks_per_second,
            page_bytes: rustix::param::page_size() as u64,
            start_seconds: None,
        };
        process.start_seconds =
            stat().and_then(|s| boot_seconds().map(|boot| boot + process.seconds(s.start_ticks)));
        process
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ticks")]
    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / self.ticks_per_second
    }
}

fn stat() -> Option<Stat> {
    parse_stat(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// Fields are counted from the one after the command name, which may hold spaces and brackets.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // proc(5) counts from 1 and the first field here is number 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)?.checked_add(field(15)?)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

fn boot_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// Open descriptors, without the one that reads the directory.
fn open_fds() -> Option<u64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(count.saturating_sub(1)).ok()
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<u64>| match value {
            Some(value) => ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
                .encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?),
            None => Ok(()),
        };
        let stat = stat();
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes",
            stat.map(|s| s.resident_pages.saturating_mul(self.page_bytes)),
        )?;
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes",
            stat.map(|s| s.virtual_bytes),
        )?;
        gauge(
            "process_threads",
            "Number of OS threads in the process",
            stat.map(|s| s.threads),
        )?;
        gauge(
            "process_open_fds",
            "Number of open file descriptors",
            open_fds(),
        )?;
        gauge(
            "process_max_fds",
            "Maximum number of open file descriptors",
            rustix::process::getrlimit(Resource::Nofile).current,
        )?;
        if let Some(stat) = stat {
            ConstCounter::new(self.seconds(stat.cpu_ticks)).encode(encoder.encode_descriptor(
                "process_cpu_seconds",
                "Total user and system CPU time spent in seconds",
                None,
                MetricType::Counter,
            )?)?;
        }
        if let Some(start) = self.start_seconds {
            ConstGauge::new(start).encode(encoder.encode_descriptor(
                "process_start_time_seconds",
                "Start time of the process since the epoch in seconds",
                None,
                MetricType::Gauge,
            )?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_an_odd_command_name() {
        let text = "42 (a) (b c) S 1 42 42 0 -1 4194560 1 0 0 0 7 5 0 0 20 0 3 0 1000 2000 300 18";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                cpu_ticks: 12,
                threads: 3,
                start_ticks: 1000,
                virtual_bytes: 2000,
                resident_pages: 300
            })
        );
        assert_eq!(parse_stat("42 (a) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn this_process_is_plausible() {
        let process = Process::new();
        let stat = stat().unwrap();
        assert!(stat.resident_pages * process.page_bytes > 500_000);
        assert!(open_fds().unwrap() >= 3);
        let start = process.start_seconds.unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        assert!(
            (now - start) > -2.0 && (now - start) < 3_600.0,
            "{start} and {now}"
        );
    }
}
