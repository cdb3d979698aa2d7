//! The table of orders.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use crate::fault::Fault;
use crate::money::{CURRENCY, Cents};
use crate::services::items::Item;
use crate::store::{Store, StoreError};

/// Ids never come back, not even after the rows are gone (AUTOINCREMENT).
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL,
    items TEXT NOT NULL,
    total_cents INTEGER NOT NULL,
    status TEXT NOT NULL,
    created_ms INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS orders_of_user ON orders (user_id, id)";
/// The oldest orders make room for new ones: a load generator places many.
const KEPT: i64 = 10_000;
/// How often, in orders, room is made.
const PRUNE_EVERY: i64 = 500;
const COLUMNS: &str = "id, user_id, items, total_cents, status, created_ms";

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Confirmed,
    PaymentFailed,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::PaymentFailed => "PAYMENT_FAILED",
        }
    }
}

/// A kept order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Order {
    id: i64,
    user_id: i32,
    items: Vec<Item>,
    total_cents: Cents,
    currency: &'static str,
    status: String,
    created_ms: i64,
}

/// The table.
#[derive(Debug)]
pub(super) struct Orders(Store);

impl Orders {
    /// Opens the table. The ids of a new one begin at the time of its making in milliseconds: a
    /// process that lost its file must not give out ids again that were already paid for.
    pub(super) fn open(folder: Option<&Path>, name: &str) -> Result<Self, StoreError> {
        let begin = format!(
            "{SCHEMA};
            INSERT INTO sqlite_sequence (name, seq) SELECT 'orders', {}
                WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'orders');",
            now_ms()
        );
        Store::open(folder, name, &begin).map(Self)
    }

    /// Keeps a new order, pending, and returns its id.
    pub(super) fn add(&self, user: i32, items: &[Item], Cents(total): Cents) -> Result<i64, Fault> {
        let items = serde_json::to_string(items).map_err(|e| Fault::Storage(e.to_string()))?;
        let connection = self.0.lock();
        let sql = "INSERT INTO orders (user_id, items, total_cents, status, created_ms)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        connection.prepare_cached(sql)?.execute(params![
            user,
            items,
            total,
            Status::Pending.name(),
            now_ms()
        ])?;
        let id = connection.last_insert_rowid();
        if id % PRUNE_EVERY == 0 {
            connection.execute("DELETE FROM orders WHERE id <= ?1", params![id - KEPT])?;
        }
        Ok(id)
    }

    /// Sets how an order ended and returns it.
    pub(super) fn settle(&self, id: i64, status: Status) -> Result<Order, Fault> {
        let sql = format!("UPDATE orders SET status = ?2 WHERE id = ?1 RETURNING {COLUMNS}");
        let connection = self.0.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![id, status.name()], order)?)
    }

    /// The order of this id.
    pub(super) fn find(&self, id: i64) -> Result<Option<Order>, Fault> {
        let sql = format!("SELECT {COLUMNS} FROM orders WHERE id = ?1");
        let connection = self.0.lock();
        Ok(connection
            .prepare_cached(&sql)?
            .query_row(params![id], order)
            .optional()?)
    }

    /// The newest orders, of one user or of all.
    pub(super) fn newest(&self, user: Option<i32>, limit: u32) -> Result<Vec<Order>, Fault> {
        let of_user = if user.is_some() {
            "user_id = ?1"
        } else {
            "?1 IS NULL"
        };
        let sql = format!("SELECT {COLUMNS} FROM orders WHERE {of_user} ORDER BY id DESC LIMIT ?2");
        let connection = self.0.lock();
        let mut statement = connection.prepare_cached(&sql)?;
        let orders = statement
            .query_map(params![user, limit], order)?
            .collect::<Result<_, _>>()?;
        Ok(orders)
    }
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    let items: String = row.get(2)?;
    let items = serde_json::from_str(&items).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(Order {
        id: row.get(0)?,
        user_id: row.get(1)?,
        items,
        total_cents: Cents(row.get(3)?),
        currency: CURRENCY,
        status: row.get(4)?,
        created_ms: row.get(5)?,
    })
}

/// The wall clock; a clock before 1970 counts as 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: [Item; 1] = [Item {
        product_id: 1,
        quantity: 2,
    }];

    #[test]
    fn keeps_and_lists_newest_first() {
        let orders = Orders::open(None, "orders").unwrap();
        let ids: Vec<_> = [1, 2, 1]
            .iter()
            .map(|user| orders.add(*user, &ITEMS, Cents(5)).unwrap())
            .collect();
        let listed = |user| -> Vec<i64> {
            orders
                .newest(user, 10)
                .unwrap()
                .iter()
                .map(|order| order.id)
                .collect()
        };
        assert_eq!(listed(Some(1)), [ids[2], ids[0]]);
        assert_eq!(listed(None), [ids[2], ids[1], ids[0]]);
        let settled = orders.settle(ids[0], Status::Confirmed).unwrap();
        assert_eq!(settled.status, "CONFIRMED");
        assert_eq!(orders.find(ids[0]).unwrap(), Some(settled));
        assert_eq!(orders.find(1).unwrap(), None);
    }

    #[test]
    fn ids_go_on_in_a_kept_file_and_are_new_in_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let add = || {
            Orders::open(Some(folder.path()), "o")
                .unwrap()
                .add(1, &ITEMS, Cents(5))
                .unwrap()
        };
        let first = add();
        assert_eq!(add(), first + 1);
        assert!(first > 1_600_000_000_000);
    }

    #[test]
    fn keeps_the_newest() {
        let orders = Orders::open(None, "orders").unwrap();
        orders.0.lock().execute_batch("BEGIN").unwrap();
        for _ in 0..KEPT + 2 * PRUNE_EVERY {
            orders.add(1, &ITEMS, Cents(5)).unwrap();
        }
        orders.0.lock().execute_batch("COMMIT").unwrap();
        let sql = "SELECT count(*) FROM orders";
        let rows: i64 = orders
            .0
            .lock()
            .query_row(sql, [], |row| row.get(0))
            .unwrap();
        assert!((KEPT..=KEPT + PRUNE_EVERY).contains(&rows), "{rows}");
    }
}
