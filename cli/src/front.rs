//! What `weft up` and `weft demo` have in common: signals, progress, reports, the end.
//!
//! Order: the supervisor and the front run side by side; the first signal (or the deadline) ends
//! the front, which reports, and then the supervisor, which takes everything down; a second signal
//! cuts that short.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use weft_runtime::signal::Signals;
use weft_runtime::task;

use crate::config::{ReportArgs, Surroundings, UpArgs, surroundings};
use crate::measure::{Meter, Report, Span};
use crate::output::{Console, Lines, columns};
use crate::up::process::Launcher;
use crate::up::state::{InstanceState, RunState};
use crate::up::supervisor::{Options, Supervisor};
use crate::up::variables::hidden;

/// Between looks at the sidecars' counters: a change of `mtls` is seen within a second.
const SCRAPE: Duration = Duration::from_millis(300);

/// Between objects of `--watch`; one more is printed at once when `mtls` of an edge turns.
const WATCH: Duration = Duration::from_secs(1);

/// What is not ready by then is named, and the rest goes on.
const READY_WITHIN: Duration = Duration::from_secs(45);

/// Ends of a process in a row after which nobody waits for it.
const HOPELESS: u32 = 3;

/// The code of a command that a second signal cut short.
const EXIT_ABORTED: u8 = 130;

/// What a command adds to a running mesh. All calls come from one place, one after the other.
pub trait Guest {
    /// Everything is ready, or as ready as it becomes.
    fn begin(&mut self, console: &Console, run: &RunState) -> impl Future<Output = ()>;
    /// Counters were read; called several times a second.
    fn tick(
        &mut self,
        console: &Console,
        run: &RunState,
        meter: &Meter,
    ) -> impl Future<Output = ()>;
    /// What the load generator says: requests sent and failed; `None` when there is none.
    fn load(&mut self, run: &RunState) -> impl Future<Output = Option<(u64, u64)>>;
    /// The run is about to be taken down.
    fn end(&mut self, console: &Console, run: &RunState, meter: &Meter)
    -> impl Future<Output = ()>;
}

/// `weft up`.
///
/// # Errors
/// When the mesh cannot be started.
pub async fn up(args: UpArgs) -> Result<ExitCode> {
    let console = console(&args.report);
    let surroundings = surroundings();
    let options = options(
        args.folder,
        args.namespace,
        &args.report,
        &console,
        surroundings,
    )?;
    run(options, args.report, Bare).await
}

/// Nobody but the mesh.
struct Bare;

impl Guest for Bare {
    async fn begin(&mut self, console: &Console, run: &RunState) {
        console.say(&addresses(run));
    }

    async fn tick(&mut self, _console: &Console, _run: &RunState, _meter: &Meter) {}

    async fn load(&mut self, _run: &RunState) -> Option<(u64, u64)> {
        None
    }

    async fn end(&mut self, _console: &Console, _run: &RunState, _meter: &Meter) {}
}

/// Where the lines for people go.
pub fn console(report: &ReportArgs) -> Console {
    Console::new(if report.json {
        Lines::Stderr
    } else {
        Lines::Stdout
    })
}

/// The supervisor's options from those of a command.
///
/// # Errors
/// When this executable cannot be found.
pub fn options(
    folder: std::path::PathBuf,
    namespace: String,
    report: &ReportArgs,
    console: &Console,
    surroundings: Surroundings,
) -> Result<Options> {
    let weft = std::env::current_exe().context("finding this executable")?;
    let inherited: Vec<(OsString, OsString)> = surroundings
        .inherited
        .into_iter()
        .filter(|(name, _)| !hidden(&name.to_string_lossy()))
        .collect();
    Ok(Options {
        folder,
        namespace,
        run_bases: surroundings.run_bases,
        launcher: Launcher::new(weft, inherited),
        log: surroundings.log,
        verbose: report.verbose,
        console: console.clone(),
    })
}

/// Runs a mesh with a guest until a signal or the deadline.
///
/// # Errors
/// When the mesh cannot be started or taken down.
pub async fn run(options: Options, report: ReportArgs, guest: impl Guest) -> Result<ExitCode> {
    let mut signals = Signals::install().context("installing the signal handlers")?;
    let console = options.console.clone();
    let supervisor = Supervisor::new(options)?;
    let front = Front {
        state: supervisor.state(),
        wanted: supervisor.wanted(),
        console: console.clone(),
        report,
        guest,
        meter: Meter::default(),
    };
    let (finish, stop, abort) = (
        CancellationToken::new(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    let signalled = task::spawn("signals", {
        let (finish, abort, console) = (finish.clone(), abort.clone(), console.clone());
        async move {
            signals.next().await;
            finish.cancel();
            console.frame(Vec::new());
            console.say("ending; once more to cut it short");
            signals.next().await;
            abort.cancel();
        }
    })
    .abort_on_drop();
    let mesh = async {
        let outcome = supervisor.run(stop.clone(), abort.clone()).await;
        finish.cancel();
        outcome
    };
    let shown = async {
        tokio::select! {
            () = front.run(finish.clone()) => {}
            () = abort.cancelled() => {}
        }
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(mesh, shown);
    drop(signalled);
    console.frame(Vec::new());
    outcome?;
    Ok(if abort.is_cancelled() {
        ExitCode::from(EXIT_ABORTED)
    } else {
        ExitCode::SUCCESS
    })
}

struct Front<G> {
    state: watch::Receiver<Arc<RunState>>,
    wanted: usize,
    console: Console,
    report: ReportArgs,
    guest: G,
    meter: Meter,
}

impl<G: Guest> Front<G> {
    async fn run(mut self, finish: CancellationToken) {
        tokio::select! {
            () = self.until_ready() => {}
            () = finish.cancelled() => {}
        }
        self.console.frame(Vec::new());
        let began = Instant::now();
        if !finish.is_cancelled() {
            let run = self.now();
            self.meter.read(&run, began).await;
            self.guest.begin(&self.console, &run).await;
        }
        let duration = self.report.duration;
        let deadline = async {
            match duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(deadline);
        let mut scrape = tokio::time::interval(SCRAPE);
        scrape.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut watched = began;
        let mut mtls = self.meter.mtls_of_all().clone();
        loop {
            tokio::select! {
                biased;
                () = finish.cancelled() => break,
                () = &mut deadline => break,
                _ = scrape.tick() => {}
            }
            let run = self.now();
            self.meter.read(&run, Instant::now()).await;
            self.guest.tick(&self.console, &run, &self.meter).await;
            let turned = self.meter.mtls_of_all() != &mtls;
            if self.report.watch && (turned || watched.elapsed() >= WATCH) {
                watched = if turned {
                    Instant::now()
                } else {
                    watched + WATCH
                };
                mtls = self.meter.mtls_of_all().clone();
                self.print(began, Span::Recent).await;
            }
        }
        self.console.frame(Vec::new());
        let run = self.now();
        self.meter.read(&run, Instant::now()).await;
        self.guest.end(&self.console, &run, &self.meter).await;
        if self.report.json {
            self.print(began, Span::Whole).await;
        }
    }

    fn now(&mut self) -> Arc<RunState> {
        Arc::clone(&self.state.borrow_and_update())
    }

    async fn print(&mut self, began: Instant, span: Span) {
        let run = self.now();
        let load = self.guest.load(&run).await;
        let report = Report::make(&run, &self.meter, began.elapsed(), span, load).await;
        self.console.json(&report.json());
    }

    /// Shows progress until everything is ready; names what is not after a while.
    async fn until_ready(&mut self) {
        let began = Instant::now();
        let mut said = String::new();
        loop {
            let run = self.now();
            let (line, done) = progress(&run, self.wanted);
            if line != said {
                if self.console.draws_in_place() {
                    self.console.frame(vec![line.clone()]);
                } else if said.is_empty() || done {
                    self.console.say(&line);
                }
                said = line;
            }
            if done {
                self.console.frame(Vec::new());
                let seconds = began.elapsed().as_secs_f64();
                self.console.say(&format!("ready after {seconds:.1} s"));
                if run.instances.iter().any(|instance| !instance.ready) {
                    self.console.say(&waiting(&run));
                }
                return;
            }
            let left = READY_WITHIN.saturating_sub(began.elapsed());
            if left.is_zero() {
                self.console.frame(Vec::new());
                self.console.say(&waiting(&run));
                return;
            }
            // The sender is gone only when the supervisor is, which ends this as well.
            let _ = tokio::time::timeout(left, self.state.changed()).await;
        }
    }
}

/// How far the start is, and whether it is done.
fn progress(run: &RunState, wanted: usize) -> (String, bool) {
    let sidecars = run
        .instances
        .iter()
        .filter(|i| i.pid.is_some() || i.ready)
        .count();
    let ready = run.instances.iter().filter(|i| i.ready).count();
    let controller = if run.controller.is_some() {
        "up"
    } else {
        "starting"
    };
    let line = format!(
        "controller {controller} · sidecars {sidecars}/{wanted} · services ready {ready}/{wanted}"
    );
    // What ended several times is not waited for: it has been told, and the rest goes on.
    let settled = |i: &&InstanceState| i.ready || i.restarts >= HOPELESS;
    let settled = run.instances.iter().filter(settled).count();
    (line, run.controller.is_some() && settled >= wanted)
}

/// What is not ready, and why.
fn waiting(run: &RunState) -> String {
    let mut text = "the rest goes on; not ready:".to_owned();
    for instance in run.instances.iter().filter(|instance| !instance.ready) {
        text.push_str(&format!("\n  {}: {}", instance.key, instance.reason));
    }
    text
}

/// The addresses to open.
fn addresses(run: &RunState) -> String {
    let head = ["WORKLOAD", "READY", "PORT", "ADDRESS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for instance in &run.instances {
        for port in &instance.ports.inbound {
            let name = port.name.clone().unwrap_or_default();
            rows.push(vec![
                instance.key.to_string(),
                if instance.ready { "yes" } else { "no" }.to_owned(),
                format!("{} {name}", port.container_port),
                format!("http://{}", port.listen),
            ]);
        }
    }
    let mut text = columns(&rows).join("\n");
    text.push_str(&format!(
        "\nAn address is a sidecar's: it takes a browser only where a PeerAuthentication is \
         PERMISSIVE.\nEdit, add or remove files in {}: each change prints a line. Ctrl-C ends.",
        run.folder.display()
    ));
    text
}
