//! A mesh of real processes: `weft up` on a folder of manifests, seen through its run folder and admin ports.

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use weft_testkit::{process::Process, prometheus::Scrape, tier, wait::eventually};

/// Time for a mesh of a few workloads to be ready on a busy machine.
const START: Duration = Duration::from_secs(90);

/// A running mesh. Its processes end with it.
#[derive(Debug)]
pub struct Mesh {
    weft: PathBuf,
    folder: TempDir,
    runtime: TempDir,
    run: PathBuf,
    /// The supervisor.
    pub supervisor: Process,
}

/// One workload instance, as `run.json` says.
#[derive(Debug, Clone)]
pub struct Instance {
    /// For example `order-service-0`.
    pub name: String,
    /// Its sidecar's process.
    pub sidecar_pid: i32,
    /// The application's process.
    pub pid: Option<i32>,
    /// The sidecar's explicit proxy.
    pub outbound: SocketAddr,
    /// The sidecar's admin port.
    pub admin: SocketAddr,
    /// Where peers connect, and where the application listens, by container port.
    pub inbound: Vec<(u16, SocketAddr, SocketAddr)>,
    /// What the application is given.
    pub env: serde_json::Map<String, serde_json::Value>,
}

impl Mesh {
    /// Starts `weft up` on `files` (path, text) and waits until every workload is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn up(files: &[(&str, &str)]) -> Result<Self> {
        Self::start(files, &[]).await
    }

    /// As [`Mesh::up`], with more words on the command line.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(files: &[(&str, &str)], words: &[&str]) -> Result<Self> {
        let weft = tier::binary("weft").map_err(anyhow::Error::msg)?;
        let folder = TempDir::new()?;
        let runtime = TempDir::new()?;
        for (name, text) in files {
            write(folder.path(), name, text)?;
        }
        let mut command = Command::new(&weft);
        command
            .args(["up", "--namespace", "production", "-f"])
            .arg(folder.path())
            .args(words)
            .env("XDG_RUNTIME_DIR", runtime.path())
            .env("TMPDIR", runtime.path());
        let supervisor = Process::spawn("weft up", &mut command);
        let mut mesh = Self {
            weft,
            run: PathBuf::new(),
            folder,
            runtime,
            supervisor,
        };
        mesh.run = eventually(START, "the run folder", || {
            std::future::ready(find_run(mesh.runtime.path()))
        })
        .await;
        eventually(START, "every workload to be ready", || {
            let run = mesh.state();
            std::future::ready(run.and_then(|run| all_ready(&run)))
        })
        .await;
        Ok(mesh)
    }

    /// The run folder.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The folder of manifests.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `run.json`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn state(&self) -> Result<serde_json::Value> {
        let text = std::fs::read(self.run.join("run.json"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The controller's process id, and its admin port.
    ///
    /// # Errors
    /// When it is not running.
    pub fn controller(&self) -> Result<(i32, SocketAddr)> {
        let state = self.state()?;
        let controller = &state["controller"];
        let pid = controller["pid"]
            .as_i64()
            .context("the controller is not running")?;
        Ok((i32::try_from(pid)?, address(&controller["admin"])?))
    }

    /// All instances.
    ///
    /// # Errors
    /// When `run.json` is not as expected.
    pub fn instances(&self) -> Result<Vec<Instance>> {
        let state = self.state()?;
        let list = state["instances"].as_array().context("no instances")?;
        list.iter().map(instance).collect()
    }

    /// One instance.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn instance(&self, name: &str) -> Result<Instance> {
        let found = self
            .instances()?
            .into_iter()
            .find(|instance| instance.name == name);
        found.with_context(|| format!("no instance {name}"))
    }

    /// Writes a file of the folder, as an editor would.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        write(self.folder.path(), name, text)
    }

    /// Removes a file of the folder.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        Ok(std::fs::remove_file(self.folder.path().join(name))?)
    }

    /// Runs `weft` with `words` against this mesh.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn weft(&self, words: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.weft);
        command
            .args(words)
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .env("TMPDIR", self.runtime.path())
            .stdin(Stdio::null());
        Ok(command.output()?)
    }

    /// Runs a command inside a workload; its standard output, trimmed.
    ///
    /// # Errors
    /// When it fails.
    pub async fn exec(&self, workload: &str, words: &[&str]) -> Result<String> {
        let mut command = tokio::process::Command::new(&self.weft);
        command
            .args(["exec", workload, "--"])
            .args(words)
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .env("TMPDIR", self.runtime.path())
            .stdin(Stdio::null());
        let output = command.output().await?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!(
                "`{}` in {workload}: {}: {text} {error}",
                words.join(" "),
                output.status
            );
        }
        Ok(text)
    }

    /// The metrics of an instance's sidecar.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn metrics(&self, name: &str) -> Result<Scrape> {
        let instance = self.instance(name)?;
        let text = fetch(instance.admin, "/metrics").await?;
        Scrape::parse(&String::from_utf8_lossy(&text)).map_err(anyhow::Error::msg)
    }

    /// The controller's view of a policy.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn policy(&self, kind: &str, name: &str) -> Result<serde_json::Value> {
        let (_, admin) = self.controller()?;
        let list: serde_json::Value = serde_json::from_slice(&fetch(admin, "/policies").await?)?;
        let found = list
            .as_array()
            .context("/policies is no list")?
            .iter()
            .find(|policy| policy["kind"] == kind && policy["name"] == name);
        found
            .cloned()
            .with_context(|| format!("no {kind} {name} in {list}"))
    }

    /// Waits until a policy is accepted and in force at every proxy that needs it.
    pub async fn enforced(&self, kind: &str, name: &str) {
        let what = format!("{kind} {name} to be enforced everywhere");
        eventually(Duration::from_secs(20), &what, || async {
            let policy = self.policy(kind, name).await?;
            let in_force = policy["accepted"] == true
                && policy["programmed"] == policy["needed"]
                && policy["problems"].as_array().is_none_or(Vec::is_empty);
            if in_force { Ok(()) } else { bail!("{policy}") }
        })
        .await;
    }

    /// Writes a file and waits until the change of the policy in it is in force at every proxy that needs it.
    pub async fn apply(&self, file: &str, text: &str, kind: &str, name: &str) {
        let before = self
            .policy(kind, name)
            .await
            .map_or(0, |it| it["generation"].as_i64().unwrap_or(0));
        self.write(file, text).expect("the folder can be written");
        let what = format!("a new generation of {kind} {name}");
        eventually(Duration::from_secs(20), &what, || async {
            let policy = self.policy(kind, name).await?;
            let now = policy["generation"].as_i64().unwrap_or(0);
            if now > before {
                Ok(())
            } else {
                bail!("{policy}")
            }
        })
        .await;
        self.enforced(kind, name).await;
    }

    /// Waits until the sidecar of `client-0` knows `count` endpoints of `service`: readiness reaches the proxies a moment
    /// after it is seen.
    pub async fn reaches(&self, service: &str, count: usize) {
        let what = format!("{count} endpoints of {service}");
        eventually(START, &what, || async {
            let client = self.instance("client-0")?;
            let ask =
                crate::load::Load::new(client.outbound, format!("http://{service}/?status=204"), 1);
            // Only to be subscribed; what it answers does not matter.
            let _ = ask.once().await;
            let config: serde_json::Value =
                serde_json::from_slice(&fetch(client.admin, "/config").await?)?;
            let host = format!("{service}.production.svc.cluster.local");
            let sets = config["endpoints"].as_array().context("no endpoints")?;
            let known = sets
                .iter()
                .filter(|set| set["host"] == host.as_str())
                .filter_map(|set| set["endpoints"].as_array())
                .map(Vec::len)
                .max();
            if known == Some(count) {
                Ok(())
            } else {
                bail!("{known:?}: {config}")
            }
        })
        .await;
    }

    /// Ends it as Ctrl-C does, and says what it printed.
    pub async fn down(mut self) -> String {
        self.supervisor.terminate(Duration::from_secs(60)).await;
        self.supervisor.output()
    }
}

/// GETs `path` of an admin port.
///
/// # Errors
/// When the answer is not 200.
pub async fn fetch(admin: SocketAddr, path: &str) -> Result<bytes::Bytes> {
    let (status, body) = get(admin, path).await?;
    if status == 200 {
        Ok(body)
    } else {
        bail!("{path}: {status}")
    }
}

/// GETs `path` of an address, directly.
///
/// # Errors
/// When there is no answer.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, bytes::Bytes)> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    weft_runtime::task::spawn("fetch", async move {
        let _ = connection.await;
    });
    let request = hyper::Request::get(path)
        .header("host", address.to_string())
        .body(Empty::<bytes::Bytes>::new())?;
    let response = client.send_request(request).await?;
    let status = response.status().as_u16();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&path, text).with_context(|| format!("writing {name}"))
}

fn find_run(runtime: &Path) -> Result<PathBuf> {
    for entry in std::fs::read_dir(runtime)? {
        let path = entry?.path();
        if path.join("run.json").is_file() {
            return Ok(path);
        }
    }
    bail!("no run.json yet")
}

fn all_ready(run: &serde_json::Value) -> Result<()> {
    let instances = run["instances"].as_array().context("no instances")?;
    let waiting: Vec<String> = instances
        .iter()
        .filter(|instance| instance["ready"] != true)
        .map(|instance| format!("{}: {}", instance["name"], instance["reason"]))
        .collect();
    if waiting.is_empty() && !instances.is_empty() {
        Ok(())
    } else {
        bail!("{waiting:?}")
    }
}

fn address(value: &serde_json::Value) -> Result<SocketAddr> {
    Ok(value.as_str().context("no address")?.parse()?)
}

fn instance(value: &serde_json::Value) -> Result<Instance> {
    let pid = |key: &str| value[key].as_i64().and_then(|pid| i32::try_from(pid).ok());
    let inbound = value["ports"]["inbound"]
        .as_array()
        .context("no inbound ports")?;
    let port = |port: &serde_json::Value| {
        let number = port["container_port"]
            .as_u64()
            .and_then(|it| u16::try_from(it).ok());
        Ok((
            number.context("no container port")?,
            address(&port["listen"])?,
            address(&port["app"])?,
        ))
    };
    Ok(Instance {
        name: value["name"].as_str().context("no name")?.to_owned(),
        sidecar_pid: pid("sidecar_pid").context("no sidecar")?,
        pid: pid("pid"),
        outbound: address(&value["ports"]["outbound"])?,
        admin: address(&value["ports"]["admin"])?,
        inbound: inbound.iter().map(port).collect::<Result<_>>()?,
        env: value["env"].as_object().cloned().unwrap_or_default(),
    })
}
