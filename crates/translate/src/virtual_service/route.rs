//! Where a rule sends: destinations and their weights.

use crate::{
    Context, names,
    report::{Fault, Report},
};
use weft_crds::{http_route::HttpRoute, virtual_service as crd};
use weft_model::policy::{Destination, PolicyMeta};

/// The destinations of an HTTP rule.
pub(super) fn destinations(
    meta: &PolicyMeta,
    rule: &HttpRoute,
    path: &str,
    context: &Context,
    report: &mut Report,
) -> Vec<Destination> {
    let answers =
        rule.redirect.is_some() || rule.direct_response.is_some() || rule.delegate.is_some();
    if rule.route.is_empty() && !answers {
        report.invalid(
            format!("{path}.route"),
            Fault::new(
                "NoRoute",
                "the rule does not say where requests go",
                "add a destination under route",
            ),
        );
    }
    let weights: Vec<_> = rule.route.iter().map(|it| it.weight).collect();
    check_weights(&weights, path, report);
    rule.route
        .iter()
        .zip(0_u32..)
        .filter_map(|(it, index)| {
            let path = format!("{path}.route[{index}].destination");
            let (host, port) = destination(meta, &it.destination, &path, context, report)?;
            Some(Destination {
                index,
                host,
                subset: it.destination.subset.clone().filter(|it| !it.is_empty()),
                port,
                weight: it.weight.unwrap_or_default(),
            })
        })
        .collect()
}

/// Checks a destination; its full host and its port.
pub(super) fn destination(
    meta: &PolicyMeta,
    destination: &crd::Destination,
    path: &str,
    context: &Context,
    report: &mut Report,
) -> Option<(weft_model::host::Host, Option<u16>)> {
    if let Some(subset) = destination.subset.as_deref().filter(|it| !it.is_empty())
        && let Err(fault) = names::label_name(subset, "a subset")
    {
        report.invalid(format!("{path}.subset"), fault);
    }
    let port = match &destination.port {
        None => None,
        Some(port) => {
            // Zero is refused by the schema; a caller with a typed object may still hold it.
            if port.number.is_none_or(|number| number == 0) {
                report.invalid(
                    format!("{path}.port.number"),
                    Fault::new(
                        "InvalidPort",
                        "the port has no number",
                        "give the Service port, 1 to 65535, or leave `port` out",
                    ),
                );
            }
            port.number
        }
    };
    let host = names::destination_host(
        &destination.host,
        &meta.object.namespace,
        &context.cluster_domain,
    );
    let host = report.take(&format!("{path}.host"), host)?;
    Some((host, port))
}

/// Checks that several destinations share something.
pub(super) fn check_weights(weights: &[Option<u32>], path: &str, report: &mut Report) {
    let sum: u64 = weights
        .iter()
        .map(|weight| u64::from(weight.unwrap_or_default()))
        .sum();
    if weights.len() > 1 && sum == 0 {
        report.invalid(
            format!("{path}.route"),
            Fault::new(
                "NoWeight",
                "several destinations, and none has a weight",
                "give each destination a weight; the shares are relative to their sum",
            ),
        );
    }
    if weights.len() > 1 && sum > 0 {
        for (index, weight) in weights.iter().enumerate() {
            if weight.is_none() {
                report.warn(
                    format!("{path}.route[{index}].weight"),
                    Fault::new(
                        "NoWeight",
                        "a destination without a weight beside others gets nothing",
                        "give it a weight, or remove it",
                    ),
                );
            }
        }
    }
    if u32::try_from(sum).is_err() {
        report.invalid(
            format!("{path}.route"),
            Fault::new(
                "OutOfBounds",
                "the sum of the weights is too large",
                "use smaller weights of the same proportion, for example 90 and 10",
            ),
        );
    }
}
