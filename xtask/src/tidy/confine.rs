//! Calls that have one place: the environment, tasks, signals and TLS configurations.
//!
//! Clippy's `disallowed-methods` catches the first two by type; this rule also catches an `allow`
//! in the wrong file, and what clippy cannot name.

use super::repo::{File, Finding, Kind, Repo};

/// What a call is confined to.
struct Confined {
    calls: &'static [&'static str],
    home: fn(&File) -> bool,
    why: &'static str,
}

const CONFINED: &[Confined] = &[
    Confined {
        calls: &[
            "env::var(",
            "env::var_os(",
            "env::vars(",
            "env::vars_os(",
            "env::set_var(",
            "env::remove_var(",
        ],
        home: |file| file.path.ends_with("config/env.rs"),
        why: "only config/env.rs of a binary reads the environment",
    },
    Confined {
        calls: &[
            "tokio::spawn(",
            "tokio::task::spawn(",
            "task::spawn_local(",
            "set.spawn(",
            "JoinSet::spawn(",
        ],
        home: |file| {
            file.path.starts_with("crates/runtime/")
                || (file.path.starts_with("examples/shop/") && file.path.ends_with("/task.rs"))
        },
        why: "tasks are spawned by weft_runtime::task::spawn (the shop: by its task.rs)",
    },
    Confined {
        calls: &["signal::unix", "signal::ctrl_c", "tokio::signal"],
        home: |file| file.path.starts_with("crates/runtime/") || file.kind == Kind::Demo,
        why: "signals are read by weft_runtime alone",
    },
    Confined {
        calls: &["ServerConfig::builder", "ClientConfig::builder"],
        home: |file| file.path.starts_with("crates/identity/") || file.kind == Kind::Demo,
        why: "TLS configurations are built by weft_identity alone",
    },
];

/// Finds calls outside their home, in what ships.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in repo.sources().filter(|(file, _)| file.kind != Kind::Check) {
        for confined in CONFINED.iter().filter(|confined| !(confined.home)(file)) {
            for (number, line) in source.lines() {
                if let Some(call) = confined.calls.iter().find(|call| line.contains(*call)) {
                    let call = call.trim_end_matches('(');
                    findings.push(Finding::at(
                        &file.path,
                        number,
                        format!("{call}: {}", confined.why),
                    ));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_call(path: &str, code: &str, breaches: usize) {
        assert_eq!(
            check(&Repo::of(&[(path, code)])).len(),
            breaches,
            "{path}: {code}"
        );
    }

    #[test]
    fn the_environment_is_read_in_one_file() {
        check_call("proxy/src/app.rs", "let a = std::env::var(\"A\");", 1);
        check_call(
            "proxy/src/config/env.rs",
            "let a = std::env::var(\"A\");",
            0,
        );
        check_call("tests/e2e/pair.rs", "let a = std::env::var(\"A\");", 0);
    }

    #[test]
    fn tasks_are_spawned_by_the_runtime() {
        check_call("proxy/src/app.rs", "tokio::spawn(async {});", 1);
        check_call("proxy/src/app.rs", "task::spawn(\"name\", async {});", 0);
        check_call("crates/runtime/src/task.rs", "tokio::spawn(async {});", 0);
        check_call("examples/shop/src/task.rs", "tokio::spawn(async {});", 0);
        check_call("examples/shop/src/order.rs", "tokio::spawn(async {});", 1);
    }

    #[test]
    fn signals_are_read_by_the_runtime() {
        check_call("cli/src/up.rs", "tokio::signal::ctrl_c().await;", 1);
        check_call(
            "crates/runtime/src/shutdown.rs",
            "tokio::signal::ctrl_c().await;",
            0,
        );
    }

    #[test]
    fn tls_is_configured_by_identity() {
        check_call(
            "proxy/src/connect/tls.rs",
            "rustls::ClientConfig::builder_with_provider(p)",
            1,
        );
        check_call(
            "crates/identity/src/client.rs",
            "rustls::ClientConfig::builder_with_provider(p)",
            0,
        );
    }

    #[test]
    fn comments_and_tests_are_free() {
        check_call(
            "proxy/src/app.rs",
            "// tokio::spawn(\n#[cfg(test)]\nmod tests { fn f() { tokio::spawn(x); } }",
            0,
        );
    }
}
