//! Header operations of a rule and of its destinations: checked, and not enforced yet.

use crate::{
    names,
    report::{Fault, Report},
};
use weft_crds::http_route::{Headers, HttpRoute};

/// Checks the operations, and that the authority is changed in one place at most.
pub(super) fn check(rule: &HttpRoute, path: &str, report: &mut Report) {
    let mut authorities = usize::from(
        rule.rewrite
            .as_ref()
            .is_some_and(|it| it.authority.as_deref().is_some_and(|it| !it.is_empty())),
    );
    if let Some(headers) = &rule.headers {
        authorities += operations(headers, &format!("{path}.headers"), report);
    }
    for (index, destination) in rule.route.iter().enumerate() {
        if let Some(headers) = &destination.headers {
            let path = format!("{path}.route[{index}].headers");
            let here = operations(headers, &path, report);
            if here > 1 || here == 1 && authorities > 0 {
                report.invalid(path, twice());
            }
        }
    }
    if authorities > 1 {
        report.invalid(format!("{path}.headers"), twice());
    }
}

fn twice() -> Fault {
    Fault::new(
        "ConflictingAuthority",
        "the authority is changed in more than one place",
        "keep one of rewrite.authority and the header operations on host",
    )
}

/// Checks header operations; how often they change the authority.
fn operations(headers: &Headers, path: &str, report: &mut Report) -> usize {
    let is_authority =
        |name: &str| name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority");
    let mut authorities = 0;
    let sides = [
        ("request", headers.request.as_ref()),
        ("response", headers.response.as_ref()),
    ];
    for (side, operations) in sides {
        let Some(operations) = operations else {
            continue;
        };
        let path = format!("{path}.{side}");
        for (operation, pairs) in [("set", &operations.set), ("add", &operations.add)] {
            for (name, value) in pairs {
                let path = format!("{path}.{operation}[{name}]");
                if is_authority(name) && side == "request" {
                    authorities += 1;
                } else if let Err(fault) = names::header_name(name) {
                    report.invalid(path.clone(), fault);
                }
                if let Err(fault) = names::header_value(value) {
                    report.invalid(path, fault);
                }
            }
        }
        for (index, name) in operations.remove.iter().enumerate() {
            if is_authority(name) || !names::is_header_name(name) {
                report.invalid(
                    format!("{path}.remove[{index}]"),
                    Fault::new(
                        "InvalidHeaderName",
                        format!("`{name}` is not a header that can be removed"),
                        "use letters, digits and `-`; the authority cannot be removed",
                    ),
                );
            }
        }
    }
    authorities
}
