//! `weft demo`: the shop in a mesh, under load, with a live table.
//!
//! It is `weft up` on a folder that it writes first, and a guest at that run: the load comes from a
//! workload of the folder as well (`shopbot`, which is this executable again), so that every edge
//! of the table is between two sidecars.
//!
//! `folder` writes the files, [`load`] is the load generator's process and the look at its counts,
//! `added` measures what the sidecars cost, `table` draws, `suggestions` says what to try.

mod added;
mod folder;
pub mod load;
mod suggestions;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::config::{DemoArgs, surroundings};
use crate::front::{self, Guest};
use crate::measure::Meter;
use crate::output::Console;
use crate::up::state::RunState;

use added::Added;
use folder::DemoFolder;
use load::LoadCounts;

/// The namespace of the shop.
const NAMESPACE: &str = "production";

/// Between "ready" and the first request: every sidecar has heard of every endpoint by then.
const SETTLE: Duration = Duration::from_secs(1);

/// Between tables where they cannot be drawn in place.
const PLAIN: Duration = Duration::from_secs(5);

/// `weft demo`.
///
/// # Errors
/// When the folder cannot be written or the mesh not be started.
pub async fn run(args: DemoArgs) -> Result<ExitCode> {
    let console = front::console(&args.report);
    let surroundings = surroundings();
    let python = folder::find_python(&surroundings);
    let folder = DemoFolder::write(args.folder.as_deref(), &surroundings, args.rate, python)?;
    console.say(&format!(
        "the shop's manifests and policies are in {}",
        folder.path().display()
    ));
    if python == folder::Python::Missing {
        console.say(
            "python3 is not installed: version 2 of product-service is Python and left out; \
             the rest goes on",
        );
    }
    let options = front::options(
        folder.path().to_owned(),
        NAMESPACE.to_owned(),
        &args.report,
        &console,
        surroundings,
    )?;
    let weft = options.launcher.weft();
    let guest = Demo {
        weft,
        json: args.report.json,
        counts: LoadCounts::default(),
        added: Added::default(),
        began: Instant::now(),
        shown: None,
    };
    let code = front::run(options, args.report, guest).await;
    folder.delete()?;
    code
}

struct Demo {
    weft: std::path::PathBuf,
    json: bool,
    counts: LoadCounts,
    added: Added,
    began: Instant,
    shown: Option<Instant>,
}

impl Guest for Demo {
    async fn begin(&mut self, console: &Console, run: &RunState) {
        console.say(&suggestions::text(run, &self.weft));
        self.began = Instant::now();
    }

    async fn tick(&mut self, console: &Console, run: &RunState, meter: &Meter) {
        let now = Instant::now();
        if now.duration_since(self.began) < SETTLE {
            return;
        }
        self.counts.read(run).await;
        self.added.measure(run).await;
        if console.draws_in_place() && !self.json {
            console.frame(table::lines(run, meter, &self.counts, &self.added, now));
            return;
        }
        let since = *self.shown.get_or_insert(now);
        if now.duration_since(since) >= PLAIN {
            self.shown = Some(now);
            console.say(&table::lines(run, meter, &self.counts, &self.added, now).join("\n"));
        }
    }

    async fn load(&mut self, run: &RunState) -> Option<(u64, u64)> {
        self.counts.read(run).await;
        Some((self.counts.requests(), self.counts.failed()))
    }

    async fn end(&mut self, console: &Console, run: &RunState, meter: &Meter) {
        self.counts.read(run).await;
        if !self.json {
            let lines = table::lines(run, meter, &self.counts, &self.added, Instant::now());
            console.say(&lines.join("\n"));
        }
    }
}
