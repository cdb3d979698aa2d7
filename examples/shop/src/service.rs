//! The services of the shop by name, and who one running process is.

use std::fmt;

use serde::Serialize;

/// One of the shop's services. Its name is also its DNS name and its ServiceAccount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Registered users, as JSON and by gRPC. Writes.
    User,
    /// The catalogue that customers browse.
    Product,
    /// Whether items are in stock.
    Inventory,
    /// What items cost.
    Pricing,
    /// Places orders by asking the others. Writes.
    Order,
    /// Takes money. Writes.
    Payment,
    /// Backend of the web page, and the page itself.
    WebBff,
}

impl Service {
    /// Every service, each after those that it calls.
    pub const ALL: [Self; 7] = [
        Self::User,
        Self::Product,
        Self::Inventory,
        Self::Pricing,
        Self::Payment,
        Self::Order,
        Self::WebBff,
    ];

    /// The name under which the others reach it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user-service",
            Self::Product => "product-service",
            Self::Inventory => "inventory-service",
            Self::Pricing => "pricing-service",
            Self::Order => "order-service",
            Self::Payment => "payment-service",
            Self::WebBff => "web-bff",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who a process is. Every reply says so, in its headers and in its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Identity {
    /// The service's name.
    pub(crate) service: &'static str,
    /// Its version, the label that subsets select by.
    pub(crate) version: String,
    /// This process among the replicas.
    pub(crate) instance: String,
}
