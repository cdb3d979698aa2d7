//! Who may depend on whom. An edge that is not in this table needs an ADR and a line here.

use super::repo::{Finding, Package, Repo};

/// The workspace's own packages, with what each may depend on. Absent packages may use everything.
const EDGES: &[(&str, &[&str])] = &[
    ("weft-model", &[]),
    ("weft-traffic", &["weft-model"]),
    ("weft-translate", &["weft-model", "weft-crds"]),
    ("weft-identity", &["weft-model"]),
    ("weft-api", &["weft-model"]),
    ("weft-runtime", &[]),
    ("weft-crds", &[]),
    ("weft-init", &["weft-runtime"]),
    (
        "weft-proxy",
        &[
            "weft-model",
            "weft-traffic",
            "weft-identity",
            "weft-api",
            "weft-runtime",
        ],
    ),
    (
        "weft-controller",
        &[
            "weft-model",
            "weft-crds",
            "weft-translate",
            "weft-identity",
            "weft-api",
            "weft-runtime",
        ],
    ),
    (
        "weft-cli",
        &[
            "weft-model",
            "weft-traffic",
            "weft-crds",
            "weft-translate",
            "weft-api",
            "weft-runtime",
            "weft-proxy",
            "weft-controller",
            "weft-init",
            "weft-shop",
        ],
    ),
    ("weft-shop", &[]),
    (
        "weft-testkit",
        &["weft-model", "weft-api", "weft-identity", "weft-runtime"],
    ),
];

/// What checks the product may use all of it.
const UNBOUND: &[&str] = &["weft-e2e", "weft-bench", "xtask", "xtask-gen"];

/// Test support, which nothing may ship.
const TESTKIT: &str = "weft-testkit";

/// Third-party crates that stand for a concern, and the only packages that may name them. Since
/// edges are bound too, this keeps them out of everything else, transitively.
const HOMES: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "kube",
            "kube-client",
            "kube-runtime",
            "kube-core",
            "k8s-openapi",
            "gateway-api",
        ],
        &["weft-crds", "weft-controller", "weft-cli"],
        "Kubernetes types stop at the control plane; the proxy never links kube",
    ),
    (
        &[
            "prost",
            "prost-types",
            "tonic-prost",
            "tonic-prost-build",
            "protox",
        ],
        &["weft-api", "weft-shop", "weft-testkit"],
        "wire messages stop at weft-api (the shop and the test backends have protocols of their own)",
    ),
    (
        &[
            "rustls",
            "tokio-rustls",
            "rustls-pki-types",
            "rustls-webpki",
        ],
        &[
            "weft-identity",
            "weft-proxy",
            "weft-controller",
            "weft-testkit",
        ],
        "TLS belongs to weft-identity; only the two ends of a connection use what it builds",
    ),
    (
        &["rcgen"],
        &["weft-identity", "weft-controller", "weft-testkit"],
        "certificates are made by the authority, requests for them by weft-identity",
    ),
    (
        &["openssl", "native-tls", "ring"],
        &[],
        "aws-lc-rs is the only cryptography",
    ),
];

/// Finds forbidden edges between members, and crates away from their home.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    repo.packages
        .iter()
        .flat_map(|package| breaches(repo, package))
        .collect()
}

fn breaches(repo: &Repo, package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |message: String| findings.push(Finding::of("Cargo.toml", message));
    let unbound = UNBOUND.contains(&package.name.as_str());
    let allowed = EDGES
        .iter()
        .find(|(name, _)| *name == package.name)
        .map(|(_, allowed)| *allowed);
    if allowed.is_none() && !unbound {
        report(format!(
            "package {} has no line in the table of edges (xtask/src/tidy/edges.rs)",
            package.name
        ));
    }
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let dev = dependency.kind.as_deref() == Some("dev");
        let member = repo.packages.iter().any(|other| other.name == name);
        if member && !unbound {
            let fits = if name == TESTKIT {
                dev
            } else {
                allowed.is_some_and(|allowed| allowed.contains(&name))
            };
            if !fits {
                report(format!("{} may not depend on {name}", package.name));
            }
        }
        for (crates, homes, why) in HOMES {
            if crates.contains(&name) && !unbound && !dev && !homes.contains(&package.name.as_str())
            {
                report(format!("{} may not depend on {name}: {why}", package.name));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_edge(package: &str, dependencies: &[&str], breaches: usize) {
        let repo = Repo::of_packages(&[
            (package, dependencies),
            ("weft-model", &[]),
            ("weft-traffic", &[]),
            ("weft-crds", &[]),
            ("weft-testkit", &[]),
        ]);
        let found = check(&repo);
        assert_eq!(found.len(), breaches, "{found:?}");
    }

    #[test]
    fn allowed_edges_pass() {
        check_edge(
            "weft-proxy",
            &["weft-model", "weft-traffic", "rustls", "dev:weft-testkit"],
            0,
        );
        check_edge(
            "weft-e2e",
            &["weft-model", "weft-crds", "weft-testkit", "kube"],
            0,
        );
    }

    #[test]
    fn forbidden_edges_are_found() {
        check_edge("weft-proxy", &["weft-crds"], 1);
        check_edge("weft-controller", &["weft-traffic"], 1);
        check_edge("weft-shop", &["weft-model"], 1);
    }

    #[test]
    fn test_support_does_not_ship() {
        check_edge("weft-proxy", &["weft-testkit"], 1);
    }

    #[test]
    fn crates_stay_in_their_home() {
        check_edge("weft-proxy", &["kube"], 1);
        check_edge("weft-proxy", &["prost"], 1);
        check_edge("weft-cli", &["rustls"], 1);
        check_edge("weft-api", &["ring"], 1);
    }

    #[test]
    fn a_new_package_needs_a_line() {
        check_edge("weft-new", &[], 1);
    }
}
