//! What the shop sells. `catalogue.json` is its one home: pricing, inventory and both versions of
//! product-service (the other one in Python) read it.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::money::Cents;

/// The catalogue as it is embedded here and written beside the Python service.
pub(crate) const JSON: &str = include_str!("../python/catalogue.json");

/// One thing to buy.
#[derive(Debug, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: u32,
    pub(crate) name: String,
    #[serde(rename = "priceCents")]
    pub(crate) price: Cents,
    /// How many a customer may have at once. Stock does not fall: the demo would run dry.
    pub(crate) stock: u32,
}

#[expect(
    clippy::expect_used,
    reason = "the text is a constant, and a test parses it"
)]
static PRODUCTS: LazyLock<Vec<Product>> =
    LazyLock::new(|| serde_json::from_str(JSON).expect("the embedded catalogue parses"));

/// Every product, by id.
pub(crate) fn all() -> &'static [Product] {
    &PRODUCTS
}

/// The product of this id.
pub(crate) fn find(id: u32) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_its_ids_are_unique() {
        let mut ids: Vec<_> = all().iter().map(|product| product.id).collect();
        ids.dedup();
        assert!(ids.len() == all().len() && ids.is_sorted() && !ids.is_empty());
        assert!(
            all().iter().any(|product| product.stock == 0),
            "one is sold out, for the page"
        );
        assert_eq!(find(1).map(|product| product.id), Some(1));
        assert!(find(u32::MAX).is_none());
    }
}
