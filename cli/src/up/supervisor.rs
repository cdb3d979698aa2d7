//! The supervisor of a run, a small kubelet: one loop that owns all state.
//!
//! Place: `weft up` and `weft demo` make one, hand its [`watch::Receiver`] to whatever reports, and
//! run it until they are asked to end. Instances and the controller are tasks that report here;
//! each change is published as `registry.json` (for the control plane), `run.json` (for `ps` and
//! `exec`) and through the channel. Order at the start: run folder, controller, instances; at the
//! end: everything leaves the registry, applications, sidecars, controller, folder.
//!
//! Long because: one loop owns all state; what it handles is one match, and each arm is short.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use weft_runtime::task::{self, AbortOnDrop};

use super::controller::{Controller, ControllerChange};
use super::instance::{Change, Event, Instance, Phase, Shared};
use super::logs::Log;
use super::manifests::{Folder, Manifests};
use super::plan::{self, InstanceKey};
use super::ports::PortAllocator;
use super::process::Launcher;
use super::rollout::Rollouts;
use super::run_folder::{RUN_FILE, RunFolder};
use super::sidecar::SidecarSettings;
use super::state::{ControllerState, InstanceState, REGISTRY_FILE, RunState, registry};
use super::watch::FolderWatch;
use super::workload::Workload;
use crate::output::Console;

/// Changes that may wait for the loop.
const EVENTS: usize = 1024;

/// How often rollouts are looked at when nothing else happens.
const TICK: Duration = Duration::from_millis(200);

/// All of a run ends within this time, or is killed.
const END_WITHIN: Duration = Duration::from_secs(12);

/// A token's length: 256 bits of chance.
const TOKEN_BYTES: usize = 32;

/// How a mesh is run.
#[derive(Debug)]
pub struct Options {
    /// The folder of manifests and policies.
    pub folder: PathBuf,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Where a run folder may be made.
    pub run_bases: Vec<PathBuf>,
    /// Starts processes.
    pub launcher: Launcher,
    /// The log filter of controller and sidecars, when the user says so.
    pub log: Option<String>,
    /// Whether every line of every process is shown.
    pub verbose: bool,
    /// Where everything is told.
    pub console: Console,
}

/// A run.
#[derive(Debug)]
pub struct Supervisor {
    options: Options,
    run: RunFolder,
    folder: Folder,
    watch: FolderWatch,
    manifests: Manifests,
    allocator: PortAllocator,
    controller: Option<ControllerState>,
    shared: Option<Arc<Shared>>,
    entries: BTreeMap<InstanceKey, Entry>,
    /// SHA-256 of each instance's token; a token lives as long as the run.
    tokens: BTreeMap<InstanceKey, String>,
    rollouts: Rollouts,
    events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    published: watch::Sender<Arc<RunState>>,
    told: BTreeSet<String>,
}

/// One instance.
#[derive(Debug)]
struct Entry {
    workload: Arc<Workload>,
    state: InstanceState,
    sidecar_ready: bool,
    app_ready: bool,
    phase: watch::Sender<Phase>,
    after: After,
    /// Ends with the entry, and its processes with it.
    _task: AbortOnDrop<()>,
}

/// What follows when an instance has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// It is started again as the manifests then say.
    Restart,
    /// Nothing.
    Remove,
}

impl Supervisor {
    /// Makes the run folder and reads the manifests; starts nothing yet.
    ///
    /// # Errors
    /// When the folder cannot be read or watched, or the run folder not be made.
    pub fn new(mut options: Options) -> Result<Self> {
        let given = options.folder.clone();
        options.folder = std::fs::canonicalize(&given)
            .with_context(|| format!("opening the folder {}", given.display()))?;
        let watch = FolderWatch::new(&options.folder)?;
        let mut folder = Folder::new(options.folder.clone(), options.namespace.clone());
        let manifests = folder.read()?;
        let run = RunFolder::create(&options.run_bases)?;
        let state = RunState {
            pid: std::process::id(),
            run: run.path().to_owned(),
            folder: options.folder.clone(),
            namespace: options.namespace.clone(),
            controller: None,
            instances: Vec::new(),
        };
        let supervisor = Self {
            options,
            run,
            folder,
            watch,
            manifests,
            allocator: PortAllocator::default(),
            controller: None,
            shared: None,
            entries: BTreeMap::new(),
            tokens: BTreeMap::new(),
            rollouts: Rollouts::default(),
            events: mpsc::channel(EVENTS),
            published: watch::Sender::new(Arc::new(state)),
            told: BTreeSet::new(),
        };
        supervisor.write(&supervisor.published.borrow())?;
        Ok(supervisor)
    }

    /// The state as it changes.
    pub fn state(&self) -> watch::Receiver<Arc<RunState>> {
        self.published.subscribe()
    }

    /// How many instances the manifests ask for.
    pub fn wanted(&self) -> usize {
        plan::desired(&self.manifests).len()
    }

    /// Runs until `stop`, then ends everything; `abort` cuts that short. Deletes the run folder.
    ///
    /// # Errors
    /// When the controller never came up, or the state cannot be written.
    pub async fn run(mut self, stop: CancellationToken, abort: CancellationToken) -> Result<()> {
        let controller_stop = CancellationToken::new();
        let (changes, mut controller_changes) = mpsc::channel(4);
        let controller = self.controller().keep(changes, controller_stop.clone());
        let controller = task::spawn("controller-process", controller).abort_on_drop();
        self.tell_problems();
        let outcome = self.serve(&stop, &mut controller_changes).await;
        let end = async {
            self.end_instances().await;
            controller_stop.cancel();
            // Its failure has been told already.
            let _ = controller.await;
        };
        tokio::select! {
            () = end => {}
            () = abort.cancelled() => {}
            () = tokio::time::sleep(END_WITHIN) => {}
        }
        // What is left is killed here: an entry's task owns its processes.
        self.entries.clear();
        tokio::task::yield_now().await;
        let deleted = self.run.delete();
        outcome.and(deleted)
    }

    fn controller(&self) -> Controller {
        Controller {
            launcher: self.options.launcher.clone(),
            folder: self.options.folder.clone(),
            namespace: self.options.namespace.clone(),
            run: self.run.path().to_owned(),
            log_filter: self.options.log.clone(),
            console: self.options.console.clone(),
            verbose: self.options.verbose,
            log: Log::new("controller", self.run.log("controller")),
        }
    }

    async fn serve(
        &mut self,
        stop: &CancellationToken,
        controller: &mut mpsc::Receiver<ControllerChange>,
    ) -> Result<()> {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some(change) = controller.recv() => self.controller_changed(change)?,
                Some(event) = self.events.1.recv() => self.apply(event),
                () = self.watch.changed() => self.reread(),
                _ = tick.tick() => {}
            }
            self.roll_out();
            self.publish()?;
        }
    }

    fn controller_changed(&mut self, change: ControllerChange) -> Result<()> {
        let state = match change {
            ControllerChange::Failed(text) => bail!("{text}"),
            ControllerChange::Running(state) => state,
        };
        self.controller = Some(state);
        if self.shared.is_none() {
            self.shared = Some(Arc::new(Shared {
                launcher: self.options.launcher.clone(),
                allocator: self.allocator.clone(),
                console: self.options.console.clone(),
                verbose: self.options.verbose,
                sidecar: SidecarSettings {
                    controller: state.grpc,
                    root_file: self.run.file("root.pem"),
                    trust_domain: self.manifests.trust_domain.clone(),
                    shards: self.manifests.shards,
                    log: self.options.log.clone(),
                },
                events: self.events.0.clone(),
            }));
            for key in plan::desired(&self.manifests).into_keys() {
                self.start(key);
            }
        }
        Ok(())
    }

    /// Starts an instance as the manifests say; none when they no longer name it.
    fn start(&mut self, key: InstanceKey) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        let Some(workload) = plan::desired(&self.manifests).remove(&key) else {
            return;
        };
        match self.entry(&key, workload, shared) {
            Ok(entry) => {
                self.entries.insert(key, entry);
            }
            Err(error) => self.options.console.say(&format!("{key}: {error:#}")),
        }
    }

    fn entry(
        &mut self,
        key: &InstanceKey,
        workload: Arc<Workload>,
        shared: Arc<Shared>,
    ) -> Result<Entry> {
        let services: Vec<_> = self
            .manifests
            .services
            .iter()
            .filter(|service| service.namespace == key.namespace)
            .cloned()
            .collect();
        let ports = self.allocator.instance(&workload, &services)?;
        let file = format!("{}.{}", key.namespace, key.name);
        let token_sha256 = self.token(key, &file)?;
        let data = self.run.data(&file)?;
        let trust_domain = &shared.sidecar.trust_domain;
        let (namespace, account) = (&key.namespace, &workload.service_account);
        let state = InstanceState {
            key: key.clone(),
            workload: workload.name.clone(),
            labels: workload.labels.clone(),
            service_account: workload.service_account.clone(),
            identity: format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}"),
            ready: false,
            draining: false,
            restarts: 0,
            reason: "its sidecar starts".to_owned(),
            pid: None,
            sidecar_pid: None,
            ports: ports.clone(),
            token_sha256,
            env: BTreeMap::new(),
            folder: workload.folder.clone(),
        };
        let instance = Instance {
            key: key.clone(),
            workload: Arc::clone(&workload),
            services,
            ports,
            token: self.run.token(&file),
            data,
            app_log: Log::new(&key.name, self.run.log(&file)),
            sidecar_log: Log::new(
                &format!("{} sidecar", key.name),
                self.run.log(&format!("{file}.sidecar")),
            ),
            shared,
        };
        let phase = watch::Sender::new(Phase::Run);
        let running = instance.run(phase.subscribe());
        Ok(Entry {
            workload,
            state,
            sidecar_ready: false,
            app_ready: false,
            phase,
            after: After::Restart,
            _task: task::spawn("instance", running).abort_on_drop(),
        })
    }

    /// The SHA-256 of an instance's token, which is made when there is none yet.
    fn token(&mut self, key: &InstanceKey, file: &str) -> Result<String> {
        if let Some(known) = self.tokens.get(key) {
            return Ok(known.clone());
        }
        let mut token = [0; TOKEN_BYTES];
        SysRng
            .try_fill_bytes(&mut token)
            .context("asking the kernel for chance")?;
        self.run.write_secret(&self.run.token(file), &token)?;
        let hash = hex::encode(Sha256::digest(token));
        self.tokens.insert(key.clone(), hash.clone());
        Ok(hash)
    }

    fn apply(&mut self, event: Event) {
        let Some(entry) = self.entries.get_mut(&event.key) else {
            return;
        };
        let state = &mut entry.state;
        match event.change {
            Change::SidecarStarted(pid) => state.sidecar_pid = Some(pid),
            Change::SidecarReady(Ok(())) => {
                entry.sidecar_ready = true;
                state.reason = "it starts".to_owned();
            }
            Change::SidecarReady(Err(reason)) => {
                entry.sidecar_ready = false;
                state.reason = reason;
            }
            Change::AppStarted(pid, env) => {
                state.pid = Some(pid);
                state.env = env;
                state.reason = "its readiness probe has not succeeded".to_owned();
            }
            Change::AppReady(ready) => {
                entry.app_ready = ready;
                if !ready {
                    state.reason = "its readiness probe fails".to_owned();
                }
            }
            Change::Failed(reason) => {
                state.restarts += 1;
                state.reason = reason;
            }
            Change::Ports(ports) => state.ports = ports,
            Change::Stopped => {
                let after = entry.after;
                self.entries.remove(&event.key);
                if after == After::Restart {
                    self.start(event.key);
                }
                return;
            }
        }
        state.ready = entry.sidecar_ready && entry.app_ready && !state.draining;
        if state.ready {
            state.reason.clear();
        }
    }

    fn reread(&mut self) {
        let manifests = match self.folder.read() {
            Ok(manifests) => manifests,
            Err(error) => {
                let text = format!("{error:#}; what runs goes on");
                self.options.console.say(&text);
                return;
            }
        };
        if manifests == self.manifests {
            return;
        }
        if manifests.trust_domain != self.manifests.trust_domain
            || manifests.shards != self.manifests.shards
        {
            self.options
                .console
                .say("MeshConfig: trustDomain and shards take effect with the next `weft up`");
        }
        self.manifests = manifests;
        self.tell_problems();
        let staying = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.after == After::Restart);
        let running = staying
            .map(|(key, entry)| (key.clone(), Arc::clone(&entry.workload)))
            .collect();
        let steps = plan::steps(&running, &plan::desired(&self.manifests));
        self.tell_steps(&steps);
        for key in steps.start {
            match self.entries.get_mut(&key) {
                // It is on its way out and comes back.
                Some(entry) => entry.after = After::Restart,
                None => self.start(key),
            }
        }
        for key in &steps.stop {
            self.leave(key, After::Remove);
        }
        for key in steps.replace {
            if let Some(entry) = self.entries.get(&key) {
                let workload = format!("{}/{}", key.namespace, entry.workload.name);
                self.rollouts.add(&workload, key);
            }
        }
    }

    fn roll_out(&mut self) {
        let wanted = plan::desired(&self.manifests);
        let entries = &self.entries;
        let ready = |key: &InstanceKey| match (entries.get(key), wanted.get(key)) {
            (Some(entry), Some(wanted)) => {
                entry.state.ready && plan::same_process(&entry.workload, wanted)
            }
            // Nobody waits for what is no longer wanted.
            _ => true,
        };
        for key in self.rollouts.next(Instant::now(), ready) {
            self.leave(&key, After::Restart);
        }
    }

    fn leave(&mut self, key: &InstanceKey, after: After) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.after = after;
            entry.state.draining = true;
            entry.state.ready = false;
            entry.state.reason = "it ends".to_owned();
            entry.phase.send_replace(Phase::Leave);
        }
    }

    async fn end_instances(&mut self) {
        let keys: Vec<InstanceKey> = self.entries.keys().cloned().collect();
        for key in &keys {
            self.leave(key, After::Remove);
        }
        if let Err(error) = self.publish() {
            self.options.console.say(&format!("{error:#}"));
        }
        for entry in self.entries.values() {
            entry.phase.send_replace(Phase::Stop);
        }
        while !self.entries.is_empty() {
            match self.events.1.recv().await {
                Some(event) => self.apply(event),
                None => return,
            }
        }
    }

    fn publish(&mut self) -> Result<()> {
        let next = RunState {
            controller: self.controller,
            instances: self
                .entries
                .values()
                .map(|entry| entry.state.clone())
                .collect(),
            ..RunState::clone(&self.published.borrow())
        };
        if **self.published.borrow() == next {
            return Ok(());
        }
        self.write(&next)?;
        self.published.send_replace(Arc::new(next));
        Ok(())
    }

    fn write(&self, state: &RunState) -> Result<()> {
        self.run.replace(REGISTRY_FILE, &registry(state))?;
        self.run.replace(RUN_FILE, state)
    }

    /// Tells each problem once, and again when it comes back.
    fn tell_problems(&mut self) {
        let now: BTreeSet<String> = self.manifests.problems.iter().cloned().collect();
        for problem in now.difference(&self.told) {
            self.options.console.say(problem);
        }
        self.told = now;
    }

    fn tell_steps(&self, steps: &plan::Steps) {
        let list = |verb: &str, keys: &[InstanceKey]| {
            let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            (!names.is_empty()).then(|| format!("{verb} {}", names.join(", ")))
        };
        let parts = [
            list("starting", &steps.start),
            list("stopping", &steps.stop),
            list("replacing", &steps.replace),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            let text = format!("workloads: {}", parts.join("; "));
            self.options.console.say(&text);
        }
    }
}
