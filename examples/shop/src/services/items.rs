//! Items of an order, as order-service, inventory-service and pricing-service pass them around.

use serde::{Deserialize, Serialize};

use crate::catalogue::{self, Product};
use crate::fault::Fault;

/// How many different items one order may have.
const MAX_ITEMS: usize = 20;
/// How many of one item.
const MAX_QUANTITY: u32 = 99;

/// So many of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) product_id: u32,
    pub(super) quantity: u32,
}

/// The body of `/check` and `/calculate`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
}

impl Item {
    /// The product that it is of.
    pub(super) fn product(&self) -> Result<&'static Product, Fault> {
        let product = catalogue::find(self.product_id);
        product.ok_or_else(|| Fault::NotFound(format!("product {}", self.product_id)))
    }
}

/// Refuses a list that nobody would order.
pub(super) fn check(items: &[Item]) -> Result<(), Fault> {
    let rule = if items.is_empty() || items.len() > MAX_ITEMS {
        format!("1 to {MAX_ITEMS} items")
    } else if items
        .iter()
        .any(|item| item.quantity == 0 || item.quantity > MAX_QUANTITY)
    {
        format!("1 to {MAX_QUANTITY} of an item")
    } else {
        return Ok(());
    };
    Err(Fault::Invalid(format!("an order has {rule}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(count: usize, quantity: u32, valid: bool) {
        let items = vec![
            Item {
                product_id: 1,
                quantity
            };
            count
        ];
        assert_eq!(check(&items).is_ok(), valid, "{count} x {quantity}");
    }

    #[test]
    fn lists_have_limits() {
        checked(0, 1, false);
        checked(1, 0, false);
        checked(1, 1, true);
        checked(MAX_ITEMS, MAX_QUANTITY, true);
        checked(MAX_ITEMS + 1, 1, false);
        checked(1, MAX_QUANTITY + 1, false);
    }
}
