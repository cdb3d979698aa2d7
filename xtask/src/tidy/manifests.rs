//! Members take lints, versions and features from the workspace, so that every member builds the
//! same copy of a dependency and none is exempt from a lint.

use super::repo::{Finding, Repo};

/// Finds manifests that opt out of the lints or say more of a dependency than its name.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let manifests = repo
        .files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests
        .flat_map(|file| breaches(&file.path, &file.text))
        .collect()
}

fn breaches(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut section = "";
    let mut lints = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section == "lints" && line == "workspace = true" {
            lints = true;
        } else if section.ends_with("dependencies") && line.contains('=') && !line.starts_with('#')
        {
            let inherited = line.contains("workspace = true");
            let says_more = ["version", "features", "path", "git"].iter().any(|key| {
                line.split(['{', ',', '.']).any(|part| {
                    part.trim_start()
                        .strip_prefix(key)
                        .is_some_and(|rest| rest.trim_start().starts_with('='))
                })
            });
            if !inherited || says_more {
                findings.push(Finding::at(
                    path,
                    index + 1,
                    "a dependency's version and features stand in the workspace's Cargo.toml alone",
                ));
            }
        }
    }
    if !lints {
        findings.push(Finding::of(path, "does not take the workspace's lints"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_manifest(text: &str, count: usize) {
        let found = check(&Repo::of(&[("proxy/Cargo.toml", text)]));
        assert_eq!(found.len(), count, "{found:?}");
    }

    #[test]
    fn a_member_inherits() {
        check_manifest(
            "[package]\nversion.workspace = true\n[lints]\nworkspace = true\n[dependencies]\n\
            # a comment = here\nhttp.workspace = true\nshop = { workspace = true, optional = true }\n",
            0,
        );
    }

    #[test]
    fn lints_are_not_optional() {
        check_manifest("[package]\nname = \"a\"\n", 1);
    }

    #[test]
    fn versions_and_features_have_one_home() {
        let lints = "[lints]\nworkspace = true\n";
        check_manifest(&format!("{lints}[dependencies]\nhttp = \"1\"\n"), 1);
        check_manifest(
            &format!(
                "{lints}[dev-dependencies]\nhttp = {{ workspace = true, features = [\"a\"] }}\n"
            ),
            1,
        );
        check_manifest(
            &format!("{lints}[target.'cfg(unix)'.dependencies]\nhttp = {{ version = \"1\" }}\n"),
            1,
        );
    }
}
