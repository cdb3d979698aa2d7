//! Start, listeners, readiness, end of a sidecar.
//!
//! Order: settings; logging; listeners bound (a port in use is said at once and ends the process); the admin port; the
//! control task and the certificate's renewal on the admin thread; the shards. SIGTERM turns it not ready, stops new
//! work, and lets what is in flight finish within the grace; a second signal cuts it short.

mod dump;
mod listen;

use crate::{
    config::{self, Config},
    control::stream::Control,
    identity::Renewal,
    observe::Observe,
    shard::{Proxy, Shard},
    tables::Tables,
};
use anyhow::{Context, Result};
use listen::Listeners;
use std::{num::NonZeroUsize, process::ExitCode, sync::Arc};
use weft_identity::store::IdentityStore;
use weft_runtime::{
    admin::{Admin, AdminReply},
    config::EXIT_CONFIG,
    drain::{Drain, DrainWatch},
    log,
    metrics::{self, Exposition},
    ready::Readiness,
    shard::{Flavor, Plan, Shards, Worker},
    signal::{Signals, drain_on_signal},
    task,
};

/// Runs a sidecar configured by the environment until it is told to stop.
#[must_use]
pub fn main_from_env() -> ExitCode {
    let config = match config::from_env() {
        Ok(config) => config,
        Err(errors) => {
            complain(&format!("weft-proxy cannot start: {errors}"));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match run(&Arc::new(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("weft-proxy: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what is said before there is a log, or instead of it"
)]
fn complain(text: &str) {
    eprintln!("{text}");
}

fn run(config: &Arc<Config>) -> Result<()> {
    let logging = log::init(config.log_format, &config.log)?;
    let listeners = Listeners::bind(config)?;
    let (tables, interest) = Tables::new();
    let identity = Arc::new(IdentityStore::new());
    let readiness = Readiness::new();
    let certified = readiness.condition("certificate", "waiting for the first certificate");
    let configured = readiness.condition("configuration", "waiting for the first configuration");

    let mut registry = metrics::root("proxy", env!("CARGO_PKG_VERSION"));
    let observe = Observe::new(&mut registry);
    metrics::register_readiness(&mut registry, &readiness);
    let admin = admin(&readiness, &Exposition::new(registry), &tables, &identity);
    let admin = admin
        .bind(config.admin)
        .with_context(|| format!("binding the admin port {}", config.admin))?;

    let (drain, watch) = Drain::new();
    let proxy = Arc::new(Proxy {
        tables: Arc::clone(&tables),
        identity: Arc::clone(&identity),
        observe,
        own_listeners: listeners.outbound_addresses(),
    });
    let control = Control::new(
        config,
        Arc::clone(&tables),
        interest,
        Arc::clone(&identity),
        configured,
    );
    let (renewal, leaf) =
        Renewal::new(Arc::clone(config), Arc::clone(&tables), identity, certified);

    // One thread for everything that is not traffic, so that a scrape or a large configuration costs no request.
    let grace = config.drain;
    let (ended, end) = std::sync::mpsc::sync_channel(1);
    let keeper = Worker::start("weft-control", move || async move {
        let signals = Signals::install();
        task::spawn("admin", admin.serve());
        task::spawn("renewal", renewal.run());
        task::spawn("control", control.run(leaf));
        let outcome = match signals {
            Ok(mut signals) => {
                let stop = |_| readiness.stop();
                drain_on_signal(&mut signals, &drain, grace, stop).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        // The receiver waits for this and nothing else.
        let _ = ended.send(outcome);
    })?;
    let shards = serve(config, listeners, &proxy, &watch)?;
    drop(watch);
    let outcome = end.recv().context("the control thread ended")?;
    // What is left after the grace is cut by the end of the process.
    drop((shards, keeper, logging));
    outcome.context("installing signal handlers")
}

fn admin(
    readiness: &Readiness,
    exposition: &Exposition,
    tables: &Arc<Tables>,
    identity: &Arc<IdentityStore>,
) -> Admin {
    let (tables, identity) = (Arc::clone(tables), Arc::clone(identity));
    Admin::new(readiness, exposition).route("/config", move |_| {
        AdminReply::json(dump::config(&tables.snapshot(), &identity))
    })
}

/// Starts the shards; each serves every listener.
fn serve(
    config: &Arc<Config>,
    listeners: Listeners,
    proxy: &Arc<Proxy>,
    watch: &DrainWatch,
) -> Result<Shards> {
    let count = NonZeroUsize::new(config.shards).unwrap_or(NonZeroUsize::MIN);
    let plan = Plan {
        count,
        flavor: Flavor::default(),
        name: "weft-shard",
    };
    let (proxy, watch) = (Arc::clone(proxy), watch.clone());
    let listeners = Arc::new(listeners);
    let shards = Shards::start(&plan, move |index| {
        let (listeners, proxy, watch) = (Arc::clone(&listeners), Arc::clone(&proxy), watch.clone());
        async move {
            let shard = Shard::new(proxy);
            task::spawn("pools", Arc::clone(&shard).maintain(watch.clone()));
            if let Err(error) = listeners.serve(index, &shard, &watch).await {
                tracing::error!(reason = %error, "a shard cannot serve");
            }
        }
    })?;
    Ok(shards)
}
