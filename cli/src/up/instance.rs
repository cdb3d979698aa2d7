//! One instance: a sidecar and its application, kept alive in the order of a native sidecar.
//!
//! Place: a task per instance; it reports to the supervisor's loop and holds no state that others
//! read. Order: the sidecar starts, answers `/ready`, then the application starts; at the end the
//! application goes first. Invariants: a sidecar that ends is started again on the same ports, so
//! that its peers' tables stay right, and the application is left alone; whoever says that somebody
//! has its port gets new ports, sidecar and application both.
//!
//! Long because: one life with one order, read from top to bottom; its parts share every state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use http::StatusCode;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::logs::{Log, Show};
use super::plan::InstanceKey;
use super::ports::{InstancePorts, PortAllocator};
use super::probes::Prober;
use super::process::{Launch, Launcher, Running, port_taken};
use super::services::ServiceDecl;
use super::sidecar::{self, SidecarSettings};
use super::variables;
use super::workload::Workload;
use crate::output::Console;

/// Between questions to a sidecar that starts.
const SIDECAR_EAGER: Duration = Duration::from_millis(20);

/// Between questions to a sidecar that is ready.
const SIDECAR_PERIOD: Duration = Duration::from_secs(1);

/// For one answer of a sidecar.
const SIDECAR_TIMEOUT: Duration = Duration::from_secs(1);

/// Unready answers in a row that make a sidecar unready: one lost answer on a busy machine is none.
const SIDECAR_FAILURES: u32 = 3;

/// Time that a sidecar has between SIGTERM and SIGKILL; it drains in less.
const SIDECAR_GRACE: Duration = Duration::from_secs(4);

/// The longest that an application has when the whole run ends: somebody waits for the prompt.
/// What it keeps is deleted with the run folder anyway.
const END_GRACE: Duration = Duration::from_secs(2);

/// Between "no longer an endpoint" and SIGTERM, so that peers have heard of it.
const LEAVE: Duration = Duration::from_secs(1);

/// How often an instance is given new ports at most.
const MAX_PORT_TRIES: u32 = 8;

/// What an instance is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Run.
    Run,
    /// End, after peers had time to hear of it.
    Leave,
    /// End now.
    Stop,
}

/// What happened to an instance.
#[derive(Debug)]
pub enum Change {
    /// The sidecar runs with this process id.
    SidecarStarted(u32),
    /// Whether the sidecar answers that it is ready, and why not.
    SidecarReady(Result<(), String>),
    /// The application runs, with this process id and environment.
    AppStarted(u32, BTreeMap<String, String>),
    /// Whether the application's probe says that it is ready.
    AppReady(bool),
    /// A process of it ended by itself, for this reason; it is started again.
    Failed(String),
    /// It has other ports now.
    Ports(InstancePorts),
    /// Both processes are gone, as was asked.
    Stopped,
}

/// A change of one instance.
#[derive(Debug)]
pub struct Event {
    /// Which instance.
    pub key: InstanceKey,
    /// What happened.
    pub change: Change,
}

/// What all instances of a run share.
#[derive(Debug)]
pub struct Shared {
    /// Starts processes.
    pub launcher: Launcher,
    /// Gives out ports.
    pub allocator: PortAllocator,
    /// Where failures are told.
    pub console: Console,
    /// Whether every line of every process is shown.
    pub verbose: bool,
    /// What sidecars are told.
    pub sidecar: SidecarSettings,
    /// Where changes go.
    pub events: mpsc::Sender<Event>,
}

/// What one instance is made of.
#[derive(Debug)]
pub struct Instance {
    /// Its name.
    pub key: InstanceKey,
    /// What it runs.
    pub workload: Arc<Workload>,
    /// Whom it may call by variables.
    pub services: Vec<ServiceDecl>,
    /// Its first ports.
    pub ports: InstancePorts,
    /// Its token's file.
    pub token: std::path::PathBuf,
    /// The folder for what it writes.
    pub data: std::path::PathBuf,
    /// The log of its application.
    pub app_log: Log,
    /// The log of its sidecar.
    pub sidecar_log: Log,
    /// What it shares with the others.
    pub shared: Arc<Shared>,
}

/// Why a process is not waited for any longer.
enum End {
    Ended(String),
    OtherPorts,
    Stop,
}

/// The running instance: what its two loops tell each other.
struct Keeper {
    instance: Instance,
    ports: watch::Sender<InstancePorts>,
    sidecar_ready: watch::Sender<bool>,
}

impl Instance {
    /// Runs until asked to end; then reports [`Change::Stopped`].
    pub async fn run(self, phase: watch::Receiver<Phase>) {
        let keeper = Keeper {
            ports: watch::Sender::new(self.ports.clone()),
            sidecar_ready: watch::Sender::new(false),
            instance: self,
        };
        let app_gone = CancellationToken::new();
        tokio::join!(keeper.keep_sidecar(&app_gone), async {
            keeper.keep_app(phase).await;
            app_gone.cancel();
        });
        keeper.tell(Change::Stopped).await;
    }
}

impl Keeper {
    async fn tell(&self, change: Change) {
        let event = Event {
            key: self.instance.key.clone(),
            change,
        };
        // The loop is gone only when the process ends.
        let _ = self.instance.shared.events.send(event).await;
    }

    fn show(&self) -> Show {
        if self.instance.shared.verbose {
            Show::Prefixed(self.instance.shared.console.clone())
        } else {
            Show::Nothing
        }
    }

    async fn keep_sidecar(&self, app_gone: &CancellationToken) {
        let mut ports = self.ports.subscribe();
        let mut failures = Failures::new("its sidecar");
        while !app_gone.is_cancelled() {
            let current = ports.borrow_and_update().clone();
            let began = Instant::now();
            let ended = match self.start_sidecar(&current) {
                Err(error) => format!("cannot start: {error:#}"),
                Ok(mut running) => {
                    self.tell(Change::SidecarStarted(running.pid())).await;
                    let end = tokio::select! {
                        ended = running.ended() => End::Ended(ended.to_string()),
                        () = self.follow_sidecar(&current) => End::Stop,
                        _ = ports.changed() => End::OtherPorts,
                        () = app_gone.cancelled() => End::Stop,
                    };
                    self.sidecar_ready.send_replace(false);
                    match end {
                        End::Ended(how) => how,
                        End::OtherPorts => {
                            running.stop(SIDECAR_GRACE).await;
                            continue;
                        }
                        End::Stop => return running.stop(SIDECAR_GRACE).await,
                    }
                }
            };
            let unready = Err(format!("its sidecar {ended}"));
            self.tell(Change::SidecarReady(unready)).await;
            let log = &self.instance.sidecar_log;
            let wait = self.failed(&mut failures, log, &ended, began).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = app_gone.cancelled() => {}
            }
        }
    }

    fn start_sidecar(&self, ports: &InstancePorts) -> Result<Running> {
        let instance = &self.instance;
        let shared = &instance.shared;
        let launch = Launch {
            command: vec!["weft".to_owned(), "__sidecar".to_owned()],
            env: sidecar::environment(&shared.sidecar, &instance.key, ports, &instance.token),
            folder: instance.data.clone(),
        };
        let log = &instance.sidecar_log;
        shared
            .launcher
            .start(&launch, log, self.show(), self.show())
    }

    /// Asks the sidecar whether it is ready, for ever.
    async fn follow_sidecar(&self, ports: &InstancePorts) {
        let mut failures = 0;
        let mut reason = None;
        loop {
            let asked = crate::http::get(ports.admin, "/ready", &[], SIDECAR_TIMEOUT).await;
            let (ready, said) = match asked {
                Ok(answer) if answer.status == StatusCode::OK => (true, String::new()),
                Ok(answer) => {
                    let text = String::from_utf8_lossy(&answer.body);
                    let lines: Vec<&str> = text.lines().skip(1).collect();
                    (false, format!("its sidecar waits: {}", lines.join("; ")))
                }
                Err(_) => (false, "its sidecar does not answer".to_owned()),
            };
            failures = if ready { 0 } else { failures + 1 };
            let was = *self.sidecar_ready.borrow();
            if ready && !was {
                self.sidecar_ready.send_replace(true);
                reason = None;
                self.tell(Change::SidecarReady(Ok(()))).await;
            } else if !ready
                && (!was || failures >= SIDECAR_FAILURES)
                && reason.as_ref() != Some(&said)
            {
                self.sidecar_ready.send_replace(false);
                reason = Some(said.clone());
                self.tell(Change::SidecarReady(Err(said))).await;
            }
            let pause = if ready { SIDECAR_PERIOD } else { SIDECAR_EAGER };
            tokio::time::sleep(pause).await;
        }
    }

    async fn keep_app(&self, mut phase: watch::Receiver<Phase>) {
        let mut ports = self.ports.subscribe();
        let mut sidecar_ready = self.sidecar_ready.subscribe();
        let mut failures = Failures::new("it");
        loop {
            tokio::select! {
                _ = sidecar_ready.wait_for(|ready| *ready) => {}
                () = wind_down(&mut phase) => return,
            }
            let current = ports.borrow_and_update().clone();
            let began = Instant::now();
            let ended = match self.start_app(&current) {
                Err(error) => format!("cannot start: {error:#}"),
                Ok((mut running, env)) => {
                    self.tell(Change::AppStarted(running.pid(), env)).await;
                    let probe = &self.instance.workload.readiness;
                    let mut prober = Prober::new(probe, &current);
                    let end = loop {
                        tokio::select! {
                            ended = running.ended() => break End::Ended(ended.to_string()),
                            ready = prober.change() => self.tell(Change::AppReady(ready)).await,
                            _ = ports.changed() => break End::OtherPorts,
                            () = wind_down(&mut phase) => break End::Stop,
                        }
                    };
                    let mut grace = self.instance.workload.grace;
                    if *phase.borrow() == Phase::Stop {
                        grace = grace.min(END_GRACE);
                    }
                    match end {
                        End::Ended(how) => how,
                        End::OtherPorts => {
                            self.tell(Change::AppReady(false)).await;
                            running.stop(grace).await;
                            continue;
                        }
                        End::Stop => return running.stop(grace).await,
                    }
                }
            };
            self.tell(Change::AppReady(false)).await;
            if *phase.borrow() != Phase::Run {
                return;
            }
            let log = &self.instance.app_log;
            let wait = self.failed(&mut failures, log, &ended, began).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = wind_down(&mut phase) => return,
            }
        }
    }

    fn start_app(&self, ports: &InstancePorts) -> Result<(Running, BTreeMap<String, String>)> {
        let instance = &self.instance;
        let data_dir = instance.data.display().to_string();
        let env = variables::application(&variables::Instance {
            workload: &instance.workload,
            name: &instance.key.name,
            ports,
            services: &instance.services,
            data_dir: &data_dir,
        });
        let launch = Launch {
            command: variables::command(&instance.workload, &env),
            env: env.clone(),
            folder: instance.workload.folder.clone(),
        };
        let log = &instance.app_log;
        let launcher = &instance.shared.launcher;
        let running = launcher.start(&launch, log, self.show(), self.show())?;
        Ok((running, env))
    }

    /// Tells of a failure, changes ports when that is the remedy; how long to wait before the next
    /// start.
    async fn failed(
        &self,
        failures: &mut Failures,
        log: &Log,
        how: &str,
        began: Instant,
    ) -> Duration {
        let instance = &self.instance;
        let shared = &instance.shared;
        let tail = log.tail();
        if port_taken(&tail) && failures.port_tries < MAX_PORT_TRIES {
            failures.port_tries += 1;
            let ports = shared
                .allocator
                .instance(&instance.workload, &instance.services);
            if let Ok(ports) = ports {
                let text = "somebody took a port of it; it is given others";
                shared.console.say(&format!("{}: {text}", instance.key));
                self.ports.send_replace(ports.clone());
                self.tell(Change::Ports(ports)).await;
                return Duration::ZERO;
            }
        }
        let wait = failures.backoff.after(began.elapsed());
        let reason = format!("{} {how}", failures.whose);
        if let Some(text) = failures.report(&reason, &tail, wait) {
            shared.console.say(&format!("{}: {text}", instance.key));
        }
        self.tell(Change::Failed(reason)).await;
        wait
    }
}

/// Waits until the instance is to end, and a moment longer when it leaves while others stay.
async fn wind_down(phase: &mut watch::Receiver<Phase>) {
    // A sender that is gone means that the supervisor is.
    let _ = phase.wait_for(|phase| *phase != Phase::Run).await;
    let _ = tokio::time::timeout(LEAVE, phase.wait_for(|phase| *phase == Phase::Stop)).await;
}

/// Failures of one process in a row.
struct Failures {
    whose: &'static str,
    backoff: Backoff,
    port_tries: u32,
    told: Option<String>,
}

impl Failures {
    fn new(whose: &'static str) -> Self {
        Self {
            whose,
            backoff: Backoff::default(),
            port_tries: 0,
            told: None,
        }
    }

    /// What to tell the user: nothing when it is the same as the last time.
    fn report(&mut self, reason: &str, tail: &[String], wait: Duration) -> Option<String> {
        let last = tail.last().map_or("", String::as_str);
        let told = format!("{reason}\n{last}");
        if self.told.as_ref() == Some(&told) {
            return None;
        }
        let mut text = format!("{reason}; next try in {wait:?}, the rest goes on");
        for line in tail {
            text.push_str("\n    ");
            text.push_str(line);
        }
        self.told = Some(told);
        Some(text)
    }
}
