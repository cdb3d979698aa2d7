//! Logging: `tracing` to stderr as text or JSON, through a writer that never blocks its caller.
//!
//! Place: `main` calls [`init`] once, right after the configuration is read. Invariants: the filter
//! and the format are arguments, never read from the environment; a reader of stderr that stalls
//! costs log lines (counted in `weft_runtime_log_lines_dropped_total`), never requests; panics are
//! logged as events. [`Lines`] is the same bounded writer for whoever writes lines of their own (an
//! access log to stdout).

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// Lines that may wait for the writing thread; more are dropped and counted.
pub const QUEUE_LINES: usize = 4_096;

/// How long [`Lines::flush`] waits for a reader that stalls.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines dropped so far because their reader was too slow, over all writers of the process.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One line of text for people, without colours.
    #[default]
    Text,
    /// One line of text with ANSI colours, for a terminal.
    ColoredText,
    /// One JSON object per line.
    Json,
}

/// The words for [`Format`] in a configuration, for [`crate::config::Reader::one_of`].
pub const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

/// Why logging cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The caller's fault: not a filter such as `info,weft_proxy=debug`.
    #[error("log filter {filter:?} cannot be read")]
    Filter {
        /// What was given.
        filter: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Our fault: logging was set up before.
    #[error("logging is set up already")]
    AlreadySet,
    /// The thread that writes could not be started.
    #[error("the log writer's thread cannot be started")]
    Thread(#[source] io::Error),
}

/// Sets up logging for the process and logs panics from now on.
///
/// # Errors
/// When the filter cannot be read, or logging is set up already.
pub fn init(format: Format, filter: &str) -> Result<LogHandle, LogError> {
    let parsed = parse_filter(filter)?;
    let lines = Lines::start("weft-log", io::stderr()).map_err(LogError::Thread)?;
    let (parsed, filter) = reload::Layer::new(parsed);
    tracing_subscriber::registry()
        .with(parsed)
        .with(layer(format, lines.clone()))
        .try_init()
        .map_err(|_| LogError::AlreadySet)?;
    log_panics();
    Ok(LogHandle { lines, filter })
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(filter).map_err(|source| LogError::Filter {
        filter: filter.to_owned(),
        source,
    })
}

fn layer<S>(format: Format, lines: Lines) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let base = tracing_subscriber::fmt::layer().with_writer(lines);
    match format {
        Format::Text => base.with_ansi(false).boxed(),
        Format::ColoredText => base.with_ansi(true).boxed(),
        Format::Json => base
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .boxed(),
    }
}

/// Turns panics into events; the default hook writes lines that no log collector can read.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let location = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            panic.message = message,
            panic.location = location,
            thread.name = thread.name().unwrap_or_default(),
            "panic"
        );
    }));
}

/// Control over the logging of the process. `main` keeps it until the end: dropping it flushes.
#[derive(Debug)]
pub struct LogHandle {
    lines: Lines,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogHandle {
    /// Changes the filter, as in `info,weft_proxy=debug`.
    ///
    /// # Errors
    /// When it cannot be read; the old one stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        let parsed = parse_filter(filter)?;
        self.filter.reload(parsed).map_err(|_| LogError::AlreadySet)
    }

    /// The filter in force.
    pub fn filter(&self) -> String {
        self.filter
            .with_current(ToString::to_string)
            .unwrap_or_default()
    }

    /// Waits until what was logged is written, bounded by [`FLUSH_TIMEOUT`].
    pub fn flush(&self) {
        self.lines.flush();
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.flush();
    }
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// A bounded queue of lines with a thread that writes them. Cheap to clone; writing never blocks.
#[derive(Debug, Clone)]
pub struct Lines {
    queue: Arc<SyncSender<Message>>,
}

impl Lines {
    /// Starts the thread `name` that writes to `sink`. It ends when the last clone is gone.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(name: &str, sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE_LINES);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || write_lines(&lines, io::BufWriter::with_capacity(16 * 1024, sink)))?;
        Ok(Self {
            queue: Arc::new(queue),
        })
    }

    /// Queues one line (with its line feed), or counts it as dropped.
    pub fn write_line(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Line(line))
        {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything queued before is written, bounded by [`FLUSH_TIMEOUT`].
    pub fn flush(&self) {
        let (done, flushed) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            match flushed.recv_timeout(FLUSH_TIMEOUT) {
                // Late, or the writer is gone: either way there is nothing left to wait for.
                Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }
}

fn write_lines(lines: &Receiver<Message>, mut sink: impl Write) {
    // A sink that fails (a closed pipe) has nobody to tell: lines are then discarded.
    let mut next = lines.recv().ok();
    while let Some(message) = next {
        match message {
            Message::Line(line) => {
                let _ = sink.write_all(&line);
            }
            Message::Flush(done) => {
                let _ = sink.flush();
                let _ = done.try_send(());
            }
        }
        next = match lines.try_recv() {
            Ok(message) => Some(message),
            Err(_) => {
                // Nothing waits: what was collected goes out in one write.
                let _ = sink.flush();
                lines.recv().ok()
            }
        };
    }
    let _ = sink.flush();
}

/// One event being formatted; queued as one line when dropped.
#[derive(Debug)]
pub struct LineWriter {
    lines: Lines,
    line: Vec<u8>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.lines.write_line(std::mem::take(&mut self.line));
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter {
            lines: self.clone(),
            line: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::{Condvar, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let lines = Lines::start("test-log", sink.clone()).unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(parse_filter(filter).unwrap())
            .with(layer(format, lines.clone()));
        tracing::subscriber::with_default(subscriber, log);
        lines.flush();
        sink.text()
    }

    #[test]
    fn text_and_json_carry_message_and_fields() {
        let event = || {
            tracing::info!(client.addr = "127.0.0.1:1", "accepted");
            tracing::debug!("hidden");
        };
        let text = logged(Format::Text, "info", event);
        assert!(text.contains("INFO"), "{text}");
        assert!(
            text.contains("accepted client.addr=\"127.0.0.1:1\""),
            "{text}"
        );
        assert!(
            !text.contains("hidden") && !text.contains('\u{1b}'),
            "{text}"
        );
        let json = logged(Format::Json, "info", event);
        assert!(json.starts_with('{') && json.ends_with("}\n"), "{json}");
        assert!(json.contains("\"message\":\"accepted\""), "{json}");
        assert!(json.contains("\"client.addr\":\"127.0.0.1:1\""), "{json}");
        assert_eq!(json.lines().count(), 1);
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        assert!(matches!(
            parse_filter("weft=noisy"),
            Err(LogError::Filter { .. })
        ));
        assert!(parse_filter("info,weft_proxy=debug").is_ok());
    }

    /// A sink whose reader stalls until it is released.
    #[derive(Clone, Default)]
    struct Stalled(Arc<(Mutex<bool>, Condvar)>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (released, changed) = &*self.0;
            let mut released = released.lock();
            while !*released {
                changed.wait(&mut released);
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_reader_costs_lines_not_time() {
        let sink = Stalled::default();
        let lines = Lines::start("test-stalled", sink.clone()).unwrap();
        let before = dropped_lines();
        for _ in 0..QUEUE_LINES * 2 {
            lines.write_line(vec![b'x'; 1_024]);
        }
        assert!(
            dropped_lines() > before,
            "lines were dropped, and nobody waited"
        );
        *sink.0.0.lock() = true;
        sink.0.1.notify_all();
        lines.flush();
    }
}
