//! The command line: one definition for parser and help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// The namespace of objects that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// A service mesh for Kubernetes, and on a laptop.
#[derive(Debug, Parser)]
#[command(name = "weft", version, about, disable_help_subcommand = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `weft` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the demo shop in a mesh, with a load generator and a live table.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Run a mesh from a folder of Kubernetes manifests and policies.
    Up(UpArgs),
    /// List the workloads of a running mesh: readiness, identities, ports.
    Ps(PsArgs),
    /// Run a command with the environment of a workload, as if inside its pod.
    Exec(ExecArgs),
    /// The control plane, as `up` starts it.
    #[command(name = "__controller", hide = true)]
    Controller,
    /// A sidecar, as `up` starts it.
    #[command(name = "__sidecar", hide = true)]
    Sidecar,
    /// Becomes a command that the kernel ends when its parent ends.
    #[command(name = "__child", hide = true)]
    Child {
        /// The process id of the parent.
        parent: u32,
        /// The command.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// The demo's load generator, as its manifest starts it.
    #[cfg(feature = "demo")]
    #[command(name = "__load", hide = true)]
    Load(LoadArgs),
    /// A service of the demo shop, as its manifests start it.
    #[cfg(feature = "demo")]
    #[command(hide = true, disable_help_flag = true)]
    Shop {
        /// The shop's own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// How `up` runs.
#[derive(Debug, clap::Args)]
pub struct UpArgs {
    /// The folder of manifests and policies; it is watched.
    #[arg(short = 'f', long = "folder", value_name = "DIR")]
    pub folder: PathBuf,
    /// The namespace of objects that name none.
    #[arg(short, long, default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,
    /// How it reports and when it ends.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// How the demo runs.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Where to write the shop's manifests and policies; a new folder, deleted at the end, when not
    /// given.
    #[arg(short = 'f', long = "folder", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Orders and page views a second, about.
    #[arg(long, default_value_t = 40.0, value_name = "RPS")]
    pub rate: f64,
    /// How it reports and when it ends.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// What the load generator sends.
#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// Requests to begin each second.
    #[arg(long)]
    pub rate: f64,
    /// Requests in flight at most.
    #[arg(long, default_value_t = 32)]
    pub concurrency: usize,
    /// Shares of the kinds of requests.
    #[arg(long)]
    pub mix: String,
}

/// How a run reports and when it ends.
#[derive(Debug, Clone, clap::Args)]
pub struct ReportArgs {
    /// End by itself after this time, counted from when everything is ready, such as 30s or 5m.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Print one JSON object at the end; everything else goes to stderr.
    #[arg(long)]
    pub json: bool,
    /// With --json: print one object a second as well, and at once when mTLS of an edge turns.
    #[arg(long, requires = "json")]
    pub watch: bool,
    /// Show every line that the processes write.
    #[arg(short, long)]
    pub verbose: bool,
}

/// Which mesh `ps` lists.
#[derive(Debug, clap::Args)]
pub struct PsArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The run folder of the mesh; without it, every running mesh.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
}

/// What `exec` runs, and where.
#[derive(Debug, clap::Args)]
pub struct ExecArgs {
    /// The run folder of the mesh, needed when two are running.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// An instance such as order-service-0, or its Deployment; NAMESPACE/NAME when two
    /// namespaces have it.
    pub workload: String,
    /// The command and its arguments.
    #[arg(required = true, last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Reads `30s`, `5m`, `1h30m` or `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a duration such as 30s, 5m or 1h30m");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(refuse)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| refuse())?;
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => number.checked_mul(60).map(Duration::from_secs),
            "h" => number.checked_mul(3600).map(Duration::from_secs),
            _ => None,
        };
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(refuse)?;
        rest = tail;
    }
    if total.is_zero() {
        return Err(refuse());
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn durations_are_read() {
        for (text, expected) in [
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("1h30m", Some(5_400_000)),
            ("30", None),
            ("", None),
            ("0s", None),
            ("s", None),
            ("1d", None),
            ("99999999999999999999s", None),
            ("9999999999999999999h", None),
        ] {
            let read = duration(text).ok().map(|d| d.as_millis());
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn exec_takes_everything_after_the_dashes() {
        let args = Args::parse_from([
            "weft",
            "exec",
            "order-service",
            "--",
            "curl",
            "-H",
            "a: b",
            "x",
        ]);
        let Command::Exec(exec) = args.command else {
            panic!("not exec")
        };
        assert_eq!(exec.workload, "order-service");
        assert_eq!(exec.command, ["curl", "-H", "a: b", "x"]);
    }

    #[test]
    fn a_child_keeps_the_flags_of_its_command() {
        let args = Args::parse_from(["weft", "__child", "7", "sh", "-c", "exit", "--help"]);
        let Command::Child { parent, command } = args.command else {
            panic!("not a child")
        };
        assert_eq!(parent, 7);
        assert_eq!(command, ["sh", "-c", "exit", "--help"]);
    }
}
