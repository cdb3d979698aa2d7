//! Start and end of the controller.
//!
//! Order at start: settings, run folder, first listing of the source, authority, port, admin pages, and only then
//! `controller.json`: whoever reads it finds a controller whose "not found" is authoritative. At the end: not ready, the
//! streams are told to come back later, the port closes.

use crate::{
    admin,
    ca::Authority,
    config::{Config, env},
    hub::Hub,
    metrics::Metrics,
    push,
    run_folder::{Addresses, RunFolder, StoredGeneration},
    source::{
        Change,
        laptop::{self, Delivery},
    },
};
use anyhow::{Context, Result};
use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, sync::mpsc};
use weft_model::{identity::TrustDomain, policy::Policy};
use weft_runtime::{
    admin::Admin,
    config::EXIT_CONFIG,
    drain::{Drain, DrainWatch},
    log::{self, Lines},
    metrics::{self as runtime_metrics, Exposition},
    ready::{Condition, Readiness},
    signal::{self, Signals},
    task,
};

/// Time for streams to end at shutdown.
const GRACE: Duration = Duration::from_secs(2);
/// Threads that serve streams.
const THREADS: usize = 2;

/// Runs a controller configured by the environment until it is told to stop.
#[must_use]
pub fn main_from_env() -> ExitCode {
    match env::from_env() {
        Ok(config) => report(run(config)),
        Err(errors) => {
            complain(&errors.to_string());
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

fn report(ended: Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("weft-controller: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The last words, where logging may not be there.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Runs a controller until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub fn run(config: Config) -> Result<()> {
    let log = log::init(log::Format::Text, &config.log).context("setting up the log")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("weft-controller")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let ended = runtime.block_on(until_signal(config));
    log.flush();
    ended
}

async fn until_signal(config: Config) -> Result<()> {
    let mut signals = Signals::install().context("installing signal handlers")?;
    let (drain, watch) = Drain::new();
    let lines = Lines::start("weft-edits", io::stdout()).context("starting the writer of lines")?;
    let say = lines.clone();
    let mut controller = Controller::start(config, watch, move |text| {
        say.write_line(format!("{text}\n").into_bytes())
    })
    .await?;
    let readiness = controller.readiness.clone();
    let ended = tokio::select! {
        _ = signal::drain_on_signal(&mut signals, &drain, GRACE, |_| readiness.stop()) => Ok(()),
        // A bug ended it and has been logged; whoever supervises this process starts it anew.
        Ok(SourceEnded) = &mut controller.source => Err(anyhow::anyhow!("the source has ended")),
    };
    lines.flush();
    ended
}

/// A running controller, for the binary and for tests.
#[derive(Debug)]
pub struct Controller {
    /// Where it listens.
    pub addresses: Addresses,
    /// Its state.
    pub hub: Arc<Hub>,
    readiness: Readiness,
    source: task::Task<SourceEnded>,
}

/// The source ended by itself, which it never should.
#[derive(Debug)]
struct SourceEnded;

impl Controller {
    /// Starts. What people should read goes to `say`, a text of one or more lines at a time.
    ///
    /// # Errors
    /// When the folders cannot be read, the authority is damaged, or an address is taken.
    pub async fn start(
        config: Config,
        drain: DrainWatch,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self> {
        let readiness = Readiness::new();
        let listed = readiness.condition("source", "the first listing is not read yet");
        let run_folder = RunFolder::open(&config.run)
            .with_context(|| format!("opening the run folder {}", config.run.display()))?;
        let (first, deliveries) = first_delivery(&config, &run_folder).await?;
        let trust_domain = trust_domain(&run_folder, &first)?;
        let authority = Authority::open(&run_folder, &trust_domain, SystemTime::now())
            .context("opening the authority")?;
        let mut registry = runtime_metrics::root("controller", env!("CARGO_PKG_VERSION"));
        runtime_metrics::register_readiness(&mut registry, &readiness);
        let metrics = Metrics::register(&mut registry);
        let hub = Hub::new(
            trust_domain,
            authority.trust_bundle(),
            metrics.clone(),
            Box::new(say),
        );
        let stored = run_folder
            .load_accepted()
            .context("reading the accepted generations")?;
        keep(&run_folder, hub.begin(first, stored)).await;

        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listening on {}", config.listen))?;
        let grpc = listener.local_addr().context("reading the port")?;
        let pages = admin::routes(Admin::new(&readiness, &Exposition::new(registry)), &hub);
        let pages = pages
            .bind(config.admin)
            .with_context(|| format!("listening on {}", config.admin))?;
        let addresses = Addresses {
            grpc,
            admin: pages.addr(),
        };
        task::spawn("admin", pages.serve());
        Arc::clone(&authority).renew(drain.clone());
        let source = spawn_hub(&hub, deliveries, run_folder.clone(), drain.clone());
        serve(listener, &hub, authority, metrics, drain, listed);
        run_folder
            .announce(addresses)
            .context("writing controller.json")?;
        tracing::info!(%addresses.grpc, %addresses.admin, "listening");
        Ok(Self {
            addresses,
            hub,
            readiness,
            source,
        })
    }
}

async fn first_delivery(
    config: &Config,
    run_folder: &RunFolder,
) -> Result<(Delivery, mpsc::Receiver<Delivery>)> {
    let mut deliveries = laptop::start(&config.source, config.namespace.clone(), run_folder)
        .with_context(|| format!("reading the manifests in {}", config.source.display()))?;
    let first = deliveries
        .recv()
        .await
        .context("the source ended before its first listing")?;
    Ok((first, deliveries))
}

/// The trust domain of the run: what was used before, else what MeshConfig says, else the default.
fn trust_domain(run_folder: &RunFolder, first: &Delivery) -> Result<TrustDomain> {
    if let Some(kept) = run_folder
        .load_trust_domain()
        .context("reading the trust domain")?
    {
        return kept.parse().context("reading the trust domain");
    }
    let configured = first
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::ApplyPolicy(object) => match &object.translated.value {
                Some(Policy::MeshConfig(it)) => Some(it),
                Some(_) | None => None,
            },
            Change::ApplyService(_)
            | Change::DeleteService(_)
            | Change::ApplyWorkload(_)
            | Change::DeleteWorkload(_)
            | Change::ApplyEndpoints(_)
            | Change::DeleteEndpoints(_)
            | Change::DeletePolicy(_) => None,
        })
        .min_by_key(|it| it.meta.age_key());
    Ok(configured
        .map(|it| it.settings.trust_domain.clone())
        .unwrap_or_default())
}

fn spawn_hub(
    hub: &Arc<Hub>,
    mut deliveries: mpsc::Receiver<Delivery>,
    run_folder: RunFolder,
    drain: DrainWatch,
) -> task::Task<SourceEnded> {
    let patience = Arc::clone(hub);
    let until = drain.clone();
    task::spawn("edit-patience", async move {
        tokio::select! {
            () = patience.watch_patience() => {}
            () = until.signaled() => {}
        }
    });
    let hub = Arc::clone(hub);
    task::spawn("deliveries", async move {
        loop {
            let delivery = tokio::select! {
                delivery = deliveries.recv() => delivery,
                // It has not ended by itself: nobody is to think so.
                () = drain.signaled() => std::future::pending().await,
            };
            let Some(delivery) = delivery else {
                return SourceEnded;
            };
            keep(&run_folder, hub.deliver(delivery)).await;
        }
    })
}

/// Keeps accepted generations for the next start.
async fn keep(run_folder: &RunFolder, accepted: Option<Vec<StoredGeneration>>) {
    let Some(accepted) = accepted else { return };
    let run_folder = run_folder.clone();
    let kept = task::blocking("keep-accepted", move || run_folder.save_accepted(&accepted)).await;
    if let Ok(Err(error)) = kept {
        tracing::error!(%error, "accepted generations cannot be kept; a restart forgets them");
    }
}

fn serve(
    listener: TcpListener,
    hub: &Arc<Hub>,
    authority: Arc<Authority>,
    metrics: Metrics,
    drain: DrainWatch,
    listed: Condition,
) {
    let hub = Arc::clone(hub);
    listed.met();
    task::spawn("push-server", async move {
        if let Err(error) = push::serve(listener, hub, authority, metrics, drain).await {
            listed.unmet("the port for proxies is closed");
            tracing::error!(%error, "the port for proxies is closed");
        }
    });
}
