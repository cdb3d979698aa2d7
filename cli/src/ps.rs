//! `weft ps`: the workloads of the running meshes, with their ports, identities and readiness.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::config::{PsArgs, surroundings};
use crate::output;
use crate::runs;
use crate::up::state::{InstanceState, RunState};

/// Lists one run, or all of them.
///
/// # Errors
/// When the named run is not running.
pub fn run(args: &PsArgs) -> Result<ExitCode> {
    let runs = match &args.run {
        Some(folder) => vec![runs::open(folder)?],
        None => runs::all(&surroundings().run_bases),
    };
    if args.json {
        output::answer(&serde_json::to_string(&runs).context("writing JSON")?);
        return Ok(ExitCode::SUCCESS);
    }
    if runs.is_empty() {
        output::answer("no mesh is running; start one with `weft demo` or `weft up -f DIR`");
    }
    for run in &runs {
        output::answer(&listing(run));
    }
    Ok(ExitCode::SUCCESS)
}

/// A run as text.
pub fn listing(run: &RunState) -> String {
    let mut text = format!(
        "folder {}   run {}   supervisor {}",
        run.folder.display(),
        run.run.display(),
        run.pid
    );
    match &run.controller {
        Some(controller) => text.push_str(&format!(
            "   controller {} (grpc {}, admin {}, restarts {})",
            controller.pid, controller.grpc, controller.admin, controller.restarts
        )),
        None => text.push_str("   controller starting"),
    }
    let head = [
        "NAMESPACE",
        "NAME",
        "READY",
        "RESTARTS",
        "IDENTITY",
        "INBOUND",
        "OUTBOUND",
        "ADMIN",
        "APP",
        "PID",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(run.instances.iter().map(row));
    for line in output::columns(&rows) {
        text.push('\n');
        text.push_str(&line);
    }
    text.push_str(
        "\nINBOUND is `container port>sidecar address`: what peers and browsers open (a browser only \
         where a PeerAuthentication is PERMISSIVE).\nAPP is the application's own port, open to \
         anyone on this machine and not a way into the mesh.",
    );
    text
}

fn row(instance: &InstanceState) -> Vec<String> {
    let ready = if instance.ready {
        "yes".to_owned()
    } else {
        format!("no: {}", instance.reason)
    };
    let inbound: Vec<String> = instance
        .ports
        .inbound
        .iter()
        .map(|port| format!("{}>{}", port.container_port, port.listen))
        .collect();
    let app: Vec<String> = instance
        .ports
        .inbound
        .iter()
        .map(|port| port.app.port().to_string())
        .collect();
    let or_dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    vec![
        instance.key.namespace.clone(),
        instance.key.name.clone(),
        ready,
        instance.restarts.to_string(),
        instance.identity.clone(),
        or_dash(inbound.join(",")),
        instance.ports.outbound.port().to_string(),
        instance.ports.admin.port().to_string(),
        or_dash(app.join(",")),
        instance.pid.map_or("-".to_owned(), |pid| pid.to_string()),
    ]
}
