//! The supervisor with real processes: what it starts, restarts, shows and leaves behind.
//!
//! The applications are a shell and Python's own web server; controller and sidecars are the real
//! ones, in the binary that this package builds.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers as well"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use weft_testkit::wait;

/// Everything here happens within seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(90);

const HELLO: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: hello, version: v1}}
    spec:
      serviceAccountName: hello
      containers:
      - name: web
        command: [python3, -m, http.server, $(PORT), --bind, 127.0.0.1]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {selector: {app: hello}, ports: [{name: http, port: 80, targetPort: http}]}
"#;

const BROKEN: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec: {containers: [{name: a, command: [sh, -c, "echo the reason >&2; exit 3"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: missing}
spec: {containers: [{name: a, command: [no-such-program-anywhere]}]}
"#;

/// A `weft up` on a folder, with a place of its own for run folders.
struct Mesh {
    _base: tempfile::TempDir,
    folder: PathBuf,
    temporary: PathBuf,
    child: Child,
}

fn weft(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command
        .env("TMPDIR", temporary)
        .env_remove("XDG_RUNTIME_DIR");
    command
}

impl Mesh {
    fn up(manifests: &str) -> Self {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("folder");
        let temporary = base.path().join("tmp");
        std::fs::create_dir(&folder).unwrap();
        std::fs::create_dir(&temporary).unwrap();
        std::fs::write(folder.join("all.yaml"), manifests).unwrap();
        let child = weft(&temporary)
            .args(["up", "-f"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            _base: base,
            folder,
            temporary,
            child,
        }
    }

    /// The run as `weft ps` reads it; several processes a second would be half of the work.
    fn run(&self) -> Option<Value> {
        let run = self
            .left()
            .into_iter()
            .find(|name| name.starts_with("weft-"))?;
        let text = std::fs::read(self.temporary.join(run).join("run.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Asks again until `good` says something of the run.
    async fn until<T>(&self, what: &str, good: impl Fn(&Value) -> Option<T>) -> T {
        wait::eventually(PATIENCE, what, || {
            let run = self.run();
            let found = run.as_ref().and_then(&good).ok_or(run);
            std::future::ready(found)
        })
        .await
    }

    async fn until_ready(&self, names: &[&str]) {
        self.until(&format!("{names:?} are ready"), |run| {
            names
                .iter()
                .all(|name| instance(run, name, "ready") == Some(&true.into()))
                .then_some(())
        })
        .await;
    }

    /// Supervisor, controller, applications and sidecars.
    fn processes(&self) -> BTreeSet<i32> {
        self.run().map(|run| processes(&run)).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.temporary).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        // Also when the test has ended it already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn instance<'a>(run: &'a Value, name: &str, field: &str) -> Option<&'a Value> {
    let mut all = run.get("instances")?.as_array()?.iter();
    all.find(|instance| instance.get("name") == Some(&name.into()))?
        .get(field)
}

fn processes(run: &Value) -> BTreeSet<i32> {
    let instances = run.get("instances").and_then(Value::as_array);
    let of = |value: Option<&Value>| value.and_then(Value::as_i64);
    let mut all: Vec<Option<i64>> = vec![of(run.get("pid")), of(run.pointer("/controller/pid"))];
    for instance in instances.into_iter().flatten() {
        all.push(of(instance.get("pid")));
        all.push(of(instance.get("sidecar_pid")));
    }
    all.into_iter()
        .flatten()
        .map(|pid| i32::try_from(pid).unwrap())
        .collect()
}

fn lives(pid: i32) -> bool {
    // A zombie whose parent has not looked yet does nothing any more.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
        && test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

async fn until_gone(processes: &BTreeSet<i32>) {
    wait::until(PATIENCE, "every process is gone", || {
        !processes.iter().any(|pid| lives(*pid))
    })
    .await;
}

#[tokio::test]
async fn a_terminated_supervisor_leaves_no_process_and_no_file() {
    let mut mesh = Mesh::up(HELLO);
    mesh.until_ready(&["hello-0", "hello-1"]).await;
    let processes = mesh.processes();
    assert_eq!(
        processes.len(),
        6,
        "supervisor, controller, two applications and sidecars"
    );
    assert_eq!(mesh.left().len(), 1, "the run folder");
    mesh.signal(Signal::TERM);
    let status = mesh.child.wait().unwrap();
    assert!(status.success(), "{status}");
    until_gone(&processes).await;
    assert_eq!(mesh.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_killed_supervisor_leaves_nothing_running() {
    let mut mesh = Mesh::up(HELLO);
    mesh.until_ready(&["hello-0", "hello-1"]).await;
    let processes = mesh.processes();
    assert_eq!(processes.len(), 6);
    mesh.signal(Signal::KILL);
    mesh.child.wait().unwrap();
    until_gone(&processes).await;
    assert_eq!(mesh.left().len(), 1, "its run folder is left");
    let ps = weft(&mesh.temporary).arg("ps").output().unwrap();
    assert!(
        String::from_utf8(ps.stdout)
            .unwrap()
            .starts_with("no mesh is running")
    );
    // The next run cleans up.
    let folder = mesh.folder.clone();
    std::fs::remove_file(folder.join("all.yaml")).unwrap();
    let next = weft(&mesh.temporary)
        .args(["up", "--for", "1s", "-f"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(next.status.success(), "{next:?}");
    assert_eq!(mesh.left(), Vec::<String>::new());
}

#[tokio::test]
async fn processes_come_back_on_the_same_ports_and_failures_are_told() {
    let mut mesh = Mesh::up(&format!("{HELLO}---{BROKEN}"));
    mesh.until_ready(&["hello-0", "hello-1"]).await;
    let before = mesh.until("a run", |run| Some(run.clone())).await;
    for (name, field) in [("hello-0", "pid"), ("hello-1", "sidecar_pid")] {
        let pid = instance(&before, name, field)
            .and_then(Value::as_i64)
            .unwrap();
        let killed = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        kill_process(killed, Signal::KILL).unwrap();
        let after = mesh
            .until("it is back", |run| {
                let back = instance(run, name, field) != Some(&pid.into())
                    && instance(run, name, "ready") == Some(&true.into());
                back.then(|| run.clone())
            })
            .await;
        let ports = |run: &Value| instance(run, name, "ports").cloned();
        assert_eq!(ports(&before), ports(&after), "{name}");
        assert_eq!(
            instance(&after, name, "restarts"),
            Some(&1.into()),
            "{name}"
        );
    }
    let controller = |run: &Value| run.get("controller").cloned().unwrap();
    let old = controller(&before);
    let pid = i32::try_from(old.get("pid").and_then(Value::as_i64).unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let new = mesh
        .until("the controller is back", |run| {
            let new = controller(run);
            (new.get("pid") != old.get("pid")).then_some(new)
        })
        .await;
    assert_eq!(new.get("grpc"), old.get("grpc"));
    assert_eq!(new.get("admin"), old.get("admin"));
    mesh.signal(Signal::INT);
    let output = BufReader::new(mesh.child.stdout.take().unwrap()).lines();
    let output: Vec<String> = output.map(Result::unwrap).collect();
    let output = output.join("\n");
    for part in [
        "default/broken: it exited with status 3",
        "the reason",
        "default/missing: it cannot start: no-such-program-anywhere is not installed",
        "the controller was ended by signal 9",
    ] {
        assert!(output.contains(part), "{part} is missing in:\n{output}");
    }
    assert!(mesh.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_changed_folder_changes_what_runs() {
    let mesh = Mesh::up(HELLO);
    mesh.until_ready(&["hello-0", "hello-1"]).await;
    let first = mesh
        .until("a run", |run| instance(run, "hello-0", "pid").cloned())
        .await;
    let write = |text: &str| std::fs::write(mesh.folder.join("all.yaml"), text).unwrap();
    write(&HELLO.replace("replicas: 2", "replicas: 3"));
    mesh.until_ready(&["hello-2"]).await;
    let unchanged = mesh
        .until("a run", |run| instance(run, "hello-0", "pid").cloned())
        .await;
    assert_eq!(unchanged, first, "scaling restarts nobody");
    write(
        &HELLO
            .replace("replicas: 2", "replicas: 1")
            .replace("version: v1", "version: v2"),
    );
    mesh.until("one instance of the new version", |run| {
        let label = instance(run, "hello-0", "labels")?.get("version")?;
        let gone = instance(run, "hello-1", "pid").is_none();
        let ready = instance(run, "hello-0", "ready") == Some(&true.into());
        (label == "v2" && gone && ready).then_some(())
    })
    .await;
    write("kind: Deployment\nmetadata: {");
    std::fs::write(mesh.folder.join("more.yaml"), BROKEN).unwrap();
    mesh.until("the broken file changes nothing", |run| {
        instance(run, "broken", "restarts")?;
        instance(run, "hello-0", "pid").cloned()
    })
    .await;
    std::fs::remove_file(mesh.folder.join("all.yaml")).unwrap();
    mesh.until("it is gone", |run| {
        instance(run, "hello-0", "pid").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn exec_is_inside_the_pod() {
    let mesh = Mesh::up(HELLO);
    mesh.until_ready(&["hello-0", "hello-1"]).await;
    let exec = |args: &[&str]| {
        weft(&mesh.temporary)
            .arg("exec")
            .args(args)
            .output()
            .unwrap()
    };
    let output = exec(&[
        "hello",
        "--",
        "sh",
        "-c",
        "echo $http_proxy $HELLO_SERVICE_HOST; exit 7",
    ]);
    assert_eq!(output.status.code(), Some(7));
    let outbound = mesh
        .until("a run", |run| {
            let ports = instance(run, "hello-0", "ports")?;
            ports
                .get("outbound")
                .and_then(Value::as_str)
                .map(str::to_owned)
        })
        .await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.trim(), format!("http://{outbound} 127.0.0.1"));
    let ps = weft(&mesh.temporary).arg("ps").output().unwrap();
    let ps = String::from_utf8(ps.stdout).unwrap();
    for part in [
        "hello-1",
        "spiffe://cluster.local/ns/default/sa/hello",
        "8080>127.0.0.1:",
    ] {
        assert!(ps.contains(part), "{part} is missing in:\n{ps}");
    }
    let json = weft(&mesh.temporary)
        .args(["ps", "--json"])
        .output()
        .unwrap();
    let runs: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(runs.pointer("/0/namespace"), Some(&"default".into()));
    let unknown = exec(&["nobody", "--", "true"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        String::from_utf8(unknown.stderr)
            .unwrap()
            .contains("there are hello")
    );
    assert_eq!(
        exec(&["hello", "--", "no-such-program-anywhere"])
            .status
            .code(),
        Some(127)
    );
}
