//! The command line: `weft-shop SERVICE` and `weft-shop load`. Also reached as `weft shop ...`.
//!
//! Everything runs on one thread: ten of these processes share a laptop with ten sidecars.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use http::{HeaderName, HeaderValue, Uri};
use tokio::signal::unix::{SignalKind, signal};

use crate::client::proxy::{ProxyRules, ProxyRulesError};
use crate::config::env::Environment;
use crate::config::{Config, ConfigErrors, Strings as _};
use crate::drain::{self, DrainHandle, Phase};
use crate::load::{Load, LoadConfig, LoadError, Mix, Report};
use crate::server::{Server, ServerError};
use crate::service::Service;

/// Exit status for settings or arguments that make no sense (EX_USAGE).
const EXIT_USAGE: u8 = 64;
/// Which level is logged, of `error`, `warn`, `info`, `debug`, `trace`.
const LOG_VARIABLE: &str = "SHOP_LOG";

/// The demo shop of the mesh.
#[derive(Debug, Parser)]
#[command(name = "weft-shop", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Registered users, as JSON and by gRPC.
    UserService,
    /// The catalogue, version 1.
    ProductService,
    /// Whether items are in stock.
    InventoryService,
    /// What items cost.
    PricingService,
    /// Places orders.
    OrderService,
    /// Takes money.
    PaymentService,
    /// The storefront page and its backend.
    WebBff,
    /// Sends requests to the storefront and reports how it did.
    Load(LoadArgs),
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// The storefront, as http://host:port.
    #[arg(long)]
    target: Uri,
    /// Requests to begin each second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Requests in flight at most.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// Seconds to send for.
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Shares of the kinds of requests.
    #[arg(long, default_value = "browse=6,order=3,dashboard=1")]
    mix: Mix,
    /// Seconds after which a request has failed.
    #[arg(long, default_value_t = 10.0)]
    timeout: f64,
    /// Send through this proxy, for instance a sidecar.
    #[arg(long, default_value = "")]
    proxy: String,
    /// A header for every request, as name:value. May be repeated.
    #[arg(long = "header", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Proxy(#[from] ProxyRulesError),
    #[error("{0} is no number of seconds")]
    Seconds(f64),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("the process cannot start: {0}")]
    Start(#[from] std::io::Error),
}

impl CliError {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Proxy(_) | Self::Seconds(_) | Self::Load(_) => EXIT_USAGE,
            Self::Server(_) | Self::Start(_) => 1,
        }
    }
}

/// Runs the command of `args`, whose first element is the name of the program, to its end.
///
/// Blocks the thread and starts its own runtime. Takes SIGTERM and SIGINT for itself.
pub fn run_from_args(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(error) => {
            // Help and version come this way too, and are no failure. Nobody is left to tell if
            // the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    start_log();
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // For look-ups of names, the only blocking work.
        .max_blocking_threads(2)
        .build()
        .map_err(CliError::Start)
        .and_then(|runtime| runtime.block_on(run(command)));
    match result {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(%error, "stopped");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, CliError> {
    let service = match command {
        Command::UserService => Service::User,
        Command::ProductService => Service::Product,
        Command::InventoryService => Service::Inventory,
        Command::PricingService => Service::Pricing,
        Command::OrderService => Service::Order,
        Command::PaymentService => Service::Payment,
        Command::WebBff => Service::WebBff,
        Command::Load(args) => return Box::pin(load(args)).await,
    };
    serve(service).await?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(service: Service) -> Result<(), CliError> {
    let config = Config::from_strings(service, &Environment)?;
    let drain_for = config.drain;
    let (handle, watch) = drain::channel();
    let server = Server::bind(config, watch).await?;
    tokio::select! {
        result = server.serve() => Ok(result?),
        result = until_aborted(handle, drain_for) => Ok(result?),
    }
}

/// Moves the process through its phases as signals come; returns when it shall end at once.
///
/// SIGTERM drains first, as Kubernetes needs it. SIGINT is a person at a terminal: no drain. A
/// further signal skips what the one before began.
async fn until_aborted(handle: DrainHandle, drain_for: Duration) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {
            handle.advance(Phase::Draining);
            tracing::info!(seconds = drain_for.as_secs_f64(), "draining");
            tokio::select! {
                () = tokio::time::sleep(drain_for) => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    }
    handle.advance(Phase::Stopping);
    tracing::info!("stopping");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn load(args: LoadArgs) -> Result<ExitCode, CliError> {
    let seconds =
        |seconds: f64| Duration::try_from_secs_f64(seconds).map_err(|_| CliError::Seconds(seconds));
    let config = LoadConfig {
        target: args.target,
        proxy: ProxyRules::parse(&args.proxy, "")?,
        rate: args.rate,
        concurrency: args.concurrency,
        duration: seconds(args.duration)?,
        timeout: seconds(args.timeout)?,
        mix: args.mix,
        headers: args.headers.into_iter().collect(),
        injected: None,
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let load = Load::start(config)?;
    let canceller = load.canceller();
    let finished = load.finished();
    tokio::pin!(finished);
    let report = tokio::select! {
        report = &mut finished => report,
        _ = interrupt.recv() => { canceller.cancel(); finished.await }
        _ = terminate.recv() => { canceller.cancel(); finished.await }
    };
    print_report(&report, args.json);
    Ok(ExitCode::from(u8::from(report.failed > 0)))
}

#[expect(
    clippy::print_stdout,
    reason = "the report is the output of the command"
)]
fn print_report(report: &Report, json: bool) {
    match serde_json::to_string_pretty(report) {
        Ok(text) if json => println!("{text}"),
        _ => print!("{report}"),
    }
}

fn start_log() {
    let level = Environment
        .text(LOG_VARIABLE)
        .and_then(|level| level.parse().ok());
    // A second call in one process keeps the first subscriber, which is as good.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level.unwrap_or(tracing::Level::INFO))
        .with_target(false)
        .try_init();
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("{text:?} is not of the form name:value");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = name.trim().parse().map_err(|_| wrong())?;
    let value = value.trim().parse().map_err(|_| wrong())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_has_every_service() {
        Cli::command().debug_assert();
        for service in Service::ALL {
            assert!(
                Cli::try_parse_from(["weft-shop", service.name()]).is_ok(),
                "{service}"
            );
        }
    }

    #[test]
    fn headers_are_pairs() {
        assert_eq!(parse_header("user-type: beta").unwrap().1, "beta");
        assert!(parse_header("user-type").is_err());
        assert!(parse_header("a b:c").is_err());
    }
}
