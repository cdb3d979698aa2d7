//! `MeshConfig`: access log, certificate lifetime and trust domain.

use crate::{
    Context, duration,
    report::{Fault, Report},
    usage::Uses,
    virtual_service,
};
use weft_crds::{
    kind::Kind,
    mesh_config::{AccessLogMode, MeshConfigSpec},
};
use weft_model::{
    limits,
    mesh::{AccessLog, MeshSettings},
    policy::{MeshConfigPolicy, PolicyMeta, Translated},
};

/// What a MeshConfig means; what it leaves out has its default.
#[must_use]
pub fn translate(
    meta: &PolicyMeta,
    spec: &MeshConfigSpec,
    context: &Context,
) -> Translated<MeshConfigPolicy> {
    let mut report = Report::new(&meta.object);
    Uses::of(Kind::MeshConfig, spec).report(&mut report);
    let mut settings = MeshSettings {
        root_namespace: context.root_namespace.clone(),
        source: Some(meta.source()),
        ..MeshSettings::default()
    };
    if let Some(mode) = spec.access_log.as_ref().and_then(|it| it.mode) {
        settings.access_log = match mode {
            AccessLogMode::Off => AccessLog::Off,
            AccessLogMode::Text => AccessLog::Text,
            AccessLogMode::Json => AccessLog::Json,
        };
    }
    if let Some(text) = &spec.certificate_lifetime {
        let path = "spec.certificateLifetime";
        if let Some(lifetime) = report.take(path, duration::positive(text)) {
            let bounds = limits::CERTIFICATE_LIFETIME_MIN..=limits::CERTIFICATE_LIFETIME_MAX;
            if bounds.contains(&lifetime) {
                settings.certificate_lifetime = lifetime;
            } else {
                report.invalid(
                    path,
                    Fault::new(
                        "OutOfBounds",
                        format!("a certificate cannot live for {}", text.0),
                        "use 60s to 168h (7 days)",
                    ),
                );
            }
        }
    }
    if let Some(text) = &spec.trust_domain {
        let parsed = text.parse().map_err(|error| {
            Fault::new(
                "InvalidTrustDomain",
                format!("{error}"),
                "use a domain name, for example cluster.local",
            )
        });
        if let Some(domain) = report.take("spec.trustDomain", parsed) {
            settings.trust_domain = domain;
        }
    }
    if let Some(retries) = &spec.default_retries {
        virtual_service::check_retries(retries, "spec.defaultRetries", &mut report);
    }
    report.finish(Some(MeshConfigPolicy {
        meta: meta.clone(),
        settings,
    }))
}
