//! The files of the shop that are no Rust, embedded: what the demo writes into a folder and then
//! treats like any folder of manifests.

use crate::catalogue;

/// Relative path and text of each file: the manifests, and the Python service that one of them runs
/// by a path relative to their folder.
#[must_use]
pub fn files() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "namespace.yaml",
            include_str!("../manifests/namespace.yaml"),
        ),
        (
            "user-service.yaml",
            include_str!("../manifests/user-service.yaml"),
        ),
        (
            "product-service.yaml",
            include_str!("../manifests/product-service.yaml"),
        ),
        (
            "inventory-service.yaml",
            include_str!("../manifests/inventory-service.yaml"),
        ),
        (
            "pricing-service.yaml",
            include_str!("../manifests/pricing-service.yaml"),
        ),
        (
            "order-service.yaml",
            include_str!("../manifests/order-service.yaml"),
        ),
        (
            "payment-service.yaml",
            include_str!("../manifests/payment-service.yaml"),
        ),
        ("web-bff.yaml", include_str!("../manifests/web-bff.yaml")),
        (
            "python/product_service.py",
            include_str!("../python/product_service.py"),
        ),
        ("python/catalogue.json", catalogue::JSON),
    ]
}
