//! The control plane's process: started first, kept alive, always on the same addresses.
//!
//! Its standard output is meant for the user (what an edit changed, who enforces it) and passed on
//! line by line. Invariant: a controller that ends is started again on the addresses of the first
//! one, since the sidecars go on dialling those.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::logs::{Log, Show};
use super::process::{Launch, Launcher, port_taken};
use super::state::ControllerState;
use crate::output::Console;

/// Where the controller says which addresses it has.
pub const ADDRESS_FILE: &str = "controller.json";

/// Any port.
const ANY: &str = "127.0.0.1:0";

/// How often to look for that file.
const LOOK: Duration = Duration::from_millis(20);

/// The first controller must say its addresses within this time.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Ends of the first controller before giving up.
const FIRST_TRIES: u32 = 3;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// What the controller is started with.
#[derive(Debug)]
pub struct Controller {
    /// Starts it.
    pub launcher: Launcher,
    /// The folder of manifests and policies.
    pub folder: PathBuf,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// The run folder.
    pub run: PathBuf,
    /// The log filter, when the user says so.
    pub log_filter: Option<String>,
    /// Where its lines for the user go.
    pub console: Console,
    /// Whether its log is shown as well.
    pub verbose: bool,
    /// Its log.
    pub log: Log,
}

/// What happened to the controller.
#[derive(Debug)]
pub enum ControllerChange {
    /// It runs and has said its addresses.
    Running(ControllerState),
    /// It never came up: there is no mesh.
    Failed(String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Addresses {
    grpc: SocketAddr,
    admin: SocketAddr,
}

impl Controller {
    /// Keeps it alive until `stop`; then ends it and comes back.
    pub async fn keep(self, changes: mpsc::Sender<ControllerChange>, stop: CancellationToken) {
        let mut known: Option<Addresses> = None;
        let mut backoff = Backoff::default();
        let mut starts = 0;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let ended = match self.start(known) {
                Err(error) => format!("cannot start: {error:#}"),
                Ok(mut running) => {
                    let pid = running.pid();
                    let said = tokio::select! {
                        said = self.addresses() => said,
                        _ = running.ended() => None,
                        () = stop.cancelled() => None,
                    };
                    if let Some(addresses) = said {
                        known = Some(addresses);
                        let state = ControllerState {
                            pid,
                            grpc: addresses.grpc,
                            admin: addresses.admin,
                            restarts: starts,
                        };
                        // The supervisor is gone only when the process ends.
                        let _ = changes.send(ControllerChange::Running(state)).await;
                    }
                    if said.is_none() && known.is_none() && !stop.is_cancelled() {
                        running.stop(GRACE).await;
                        "said no addresses".to_owned()
                    } else {
                        tokio::select! {
                            ended = running.ended() => ended.to_string(),
                            () = stop.cancelled() => return running.stop(GRACE).await,
                        }
                    }
                }
            };
            if stop.is_cancelled() {
                return;
            }
            starts += 1;
            let lines = self.log.tail().join("\n    ");
            if known.is_none() && starts >= FIRST_TRIES {
                let text = format!("the controller {ended}\n    {lines}");
                let _ = changes.send(ControllerChange::Failed(text)).await;
                return;
            }
            let wait = backoff.after(began.elapsed());
            let text = if port_taken(&self.log.tail()) {
                "somebody has its port".to_owned()
            } else {
                lines
            };
            self.console.say(&format!(
                "the controller {ended}; next try in {wait:?}, traffic goes on with what the \
                 sidecars know\n    {text}"
            ));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn start(&self, known: Option<Addresses>) -> anyhow::Result<super::process::Running> {
        // What an earlier controller said is not what this one says.
        let _ = std::fs::remove_file(self.run.join(ADDRESS_FILE));
        let text = |address: Option<SocketAddr>| address.map_or(ANY.to_owned(), |a| a.to_string());
        let mut env: BTreeMap<String, String> = [
            ("WEFT_CONTROLLER_LISTEN", text(known.map(|a| a.grpc))),
            ("WEFT_CONTROLLER_ADMIN", text(known.map(|a| a.admin))),
            ("WEFT_SOURCE_DIR", self.folder.display().to_string()),
            ("WEFT_NAMESPACE", self.namespace.clone()),
            ("WEFT_RUN_DIR", self.run.display().to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(filter) = &self.log_filter {
            env.insert("WEFT_LOG".to_owned(), filter.clone());
        }
        let launch = Launch {
            command: vec!["weft".to_owned(), "__controller".to_owned()],
            env,
            folder: self.run.clone(),
        };
        let log = if self.verbose {
            Show::Prefixed(self.console.clone())
        } else {
            Show::Nothing
        };
        let lines = Show::Plain(self.console.clone());
        self.launcher.start(&launch, &self.log, lines, log)
    }

    /// Waits until the controller has said its addresses.
    async fn addresses(&self) -> Option<Addresses> {
        let read = async {
            loop {
                let text = std::fs::read_to_string(self.run.join(ADDRESS_FILE));
                if let Some(said) = text.ok().and_then(|text| serde_json::from_str(&text).ok()) {
                    return said;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, read).await.ok()
    }
}
