//! One line a request or opaque connection, off by default, switched at run time: text for people or JSON for machines, with the objects that
//! decided.
//!
//! Lines are written by a thread of their own through a bounded queue; what does not fit is dropped and counted
//! (`weft_runtime_log_lines_dropped_total`). While the log is off nothing is collected.

use super::series::SeriesKey;
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::{self, Write},
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, SystemTime},
};
use weft_model::mesh::AccessLog as Mode;
use weft_runtime::log::Lines;

/// What a line says. Parts that are not known are left out (JSON) or `-` (text).
#[derive(Debug, Default, Serialize)]
pub struct Entry {
    /// `inbound` or `outbound`.
    pub side: &'static str,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Authority as the client sent it.
    pub authority: String,
    /// HTTP version that the client spoke.
    pub version: &'static str,
    /// Name of the rule, if its author gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The objects that decided, with the rule's index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Cluster and subset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Instance that was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<SocketAddr>,
    /// Who is at the other end, by its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Bytes that the client sent; opaque connections only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_received: Option<u64>,
    /// Bytes that the server sent; opaque connections only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_sent: Option<u64>,
    /// Code of a reply that the proxy made itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<&'static str>,
    /// What happened, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Time to the response's head.
    #[serde(skip)]
    pub head_after: Option<Duration>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    #[serde(flatten)]
    entry: &'a Entry,
    protocol: &'static str,
    response_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_status: Option<u8>,
    response_flags: &'static str,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_ms: Option<f64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct AccessLog {
    /// Started with the first line: a thread and its queue cost memory that a mesh without the log need not pay.
    lines: OnceLock<Option<Lines>>,
}

impl AccessLog {
    /// A log that writes to `sink` instead of the standard output.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn to(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Lines::start("weft-access", sink)?;
        Ok(Self {
            lines: OnceLock::from(Some(lines)),
        })
    }

    /// Writes what is queued, bounded in time.
    pub fn flush(&self) {
        if let Some(Some(lines)) = self.lines.get() {
            lines.flush();
        }
    }

    pub(super) fn write(&self, mode: Mode, entry: &Entry, key: SeriesKey, took: Duration) {
        let line = match mode {
            Mode::Off => return,
            Mode::Text => text(entry, key, took, SystemTime::now()),
            Mode::Json => json(entry, key, took, SystemTime::now()),
        };
        let lines = self.lines.get_or_init(|| {
            Lines::start("weft-access", io::stdout())
                .inspect_err(|error| tracing::warn!(%error, "the access log cannot be written"))
                .ok()
        });
        if let Some(lines) = lines {
            lines.write_line(line);
        }
    }
}

fn json(entry: &Entry, key: SeriesKey, took: Duration, now: SystemTime) -> Vec<u8> {
    let line = JsonLine {
        time: timestamp(now),
        entry,
        protocol: key.protocol.as_str(),
        response_code: key.code,
        grpc_status: key.grpc,
        response_flags: key.flag.as_str(),
        duration_ms: millis(took),
        head_ms: entry.head_after.map(millis),
    };
    // Plain values with string keys: this cannot fail.
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn text(entry: &Entry, key: SeriesKey, took: Duration, now: SystemTime) -> Vec<u8> {
    let dash = |value: &Option<String>| value.as_deref().unwrap_or("-").to_owned();
    let mut line = format!(
        "{} {} \"{} {} {}\" {} {} {:.3}ms",
        timestamp(now),
        entry.side,
        entry.method.escape_default(),
        entry.path.escape_default(),
        entry.version,
        key.code,
        key.flag.as_str(),
        millis(took),
    );
    // Writing to a String cannot fail.
    if let Some(status) = key.grpc {
        let _ = write!(line, " grpc={status}");
    }
    let _ = write!(
        line,
        " authority=\"{}\" route={} cluster={} instance={} upstream={} peer={} by=\"{}\"",
        entry.authority.escape_default(),
        dash(&entry.route),
        dash(&entry.cluster),
        dash(&entry.instance),
        entry
            .upstream
            .map_or_else(|| "-".to_owned(), |address| address.to_string()),
        dash(&entry.peer),
        entry.sources.join(", "),
    );
    if let (Some(received), Some(sent)) = (entry.bytes_received, entry.bytes_sent) {
        let _ = write!(line, " received={received} sent={sent}");
    }
    if let Some(code) = entry.error_code {
        let _ = write!(
            line,
            " error={code} \"{}\"",
            dash(&entry.error).escape_default()
        );
    }
    line.push('\n');
    line.into_bytes()
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// RFC 3339 in UTC with milliseconds (days to a civil date as in Howard Hinnant's `civil_from_days`).
fn timestamp(now: SystemTime) -> String {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{observe::labels::RequestProtocol, respond::Flag};

    fn entry() -> Entry {
        Entry {
            side: "outbound",
            method: "GET".to_owned(),
            path: "/a\"b".to_owned(),
            authority: "shop".to_owned(),
            version: "HTTP/1.1",
            sources: vec!["VirtualService production/shop[1]".to_owned()],
            ..Entry::default()
        }
    }

    const KEY: SeriesKey = SeriesKey {
        protocol: RequestProtocol::Http,
        code: 404,
        flag: Flag::NoRoute,
        grpc: None,
    };

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_795_568_339, "2026-11-25T00:58:59.000Z"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(timestamp(time), expected);
        }
    }

    #[test]
    fn both_forms_name_flag_and_source() {
        let took = Duration::from_micros(1_500);
        let line = String::from_utf8(text(&entry(), KEY, took, SystemTime::now())).unwrap();
        assert!(
            line.contains("\"GET /a\\\"b HTTP/1.1\" 404 NR 1.500ms"),
            "{line}"
        );
        assert!(
            line.contains("by=\"VirtualService production/shop[1]\""),
            "{line}"
        );
        let line = json(&entry(), KEY, took, SystemTime::now());
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["response_flags"], "NR");
        assert_eq!(value["duration_ms"], 1.5);
        assert_eq!(value["sources"][0], "VirtualService production/shop[1]");
    }
}
