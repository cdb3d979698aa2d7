//! The table of users.

use std::path::Path;

use rusqlite::{ErrorCode, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::store::{Store, StoreError};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 1)";
/// Who is registered from the start. The last one is not active: orders of hers are refused.
const FIRST: [&str; 10] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "mallory",
];
/// How many users the demo takes.
const MAX_USERS: i64 = 100_000;
/// The longest name or address.
const MAX_TEXT: usize = 100;

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct User {
    pub(super) id: i32,
    pub(super) username: String,
    pub(super) email: String,
    pub(super) active: bool,
}

/// Someone who registers.
#[derive(Debug, Deserialize)]
pub(super) struct NewUser {
    pub(super) username: String,
    pub(super) email: String,
}

/// The table.
#[derive(Debug)]
pub(super) struct Users(Store);

impl Users {
    /// Opens the table; a new one has the first users.
    pub(super) fn open(folder: Option<&Path>, name: &str) -> Result<Self, StoreError> {
        let first: String = FIRST
            .iter()
            .zip(1..)
            .map(|(name, id)| {
                let active = i32::from(Some(name) != FIRST.last());
                format!(
                    "INSERT OR IGNORE INTO users VALUES ({id}, '{name}', '{name}@example.org', \
                     {active});\n"
                )
            })
            .collect();
        Store::open(folder, name, &format!("{SCHEMA};\n{first}")).map(Self)
    }

    /// The user of this id.
    pub(super) fn find(&self, id: i32) -> Result<User, Fault> {
        let sql = "SELECT id, username, email, active FROM users WHERE id = ?1";
        let user = self
            .0
            .lock()
            .prepare_cached(sql)?
            .query_row(params![id], user)
            .optional()?;
        user.ok_or_else(|| Fault::NotFound(format!("user {id}")))
    }

    /// Users with ids over `after`, in their order.
    pub(super) fn page(&self, after: i32, limit: u32) -> Result<Vec<User>, Fault> {
        let sql = "SELECT id, username, email, active FROM users WHERE id > ?1
                   ORDER BY id LIMIT ?2";
        let connection = self.0.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let users = statement
            .query_map(params![after, limit], user)?
            .collect::<Result<_, _>>()?;
        Ok(users)
    }

    /// Registers a user.
    pub(super) fn add(&self, NewUser { username, email }: &NewUser) -> Result<User, Fault> {
        let proper = |text: &str| !text.trim().is_empty() && text.len() <= MAX_TEXT;
        if !proper(username) || !proper(email) || !email.contains('@') {
            let rule = "a user has a username and an email address, at most 100 bytes each";
            return Err(Fault::Invalid(rule.to_owned()));
        }
        let connection = self.0.lock();
        let count: i64 =
            connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
        if count >= MAX_USERS {
            return Err(Fault::Conflict(format!("the demo takes {MAX_USERS} users")));
        }
        let sql = "INSERT INTO users (username, email) VALUES (?1, ?2)
                   RETURNING id, username, email, active";
        match connection.query_row(sql, params![username, email], user) {
            Err(rusqlite::Error::SqliteFailure(error, _))
                if error.code == ErrorCode::ConstraintViolation =>
            {
                Err(Fault::Conflict(format!("the username {username} is taken")))
            }
            other => Ok(other?),
        }
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        username: row.get(1)?,
        email: row.get(2)?,
        active: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(username: &str, email: &str) -> NewUser {
        NewUser {
            username: username.into(),
            email: email.into(),
        }
    }

    #[test]
    fn registers_and_finds() {
        let users = Users::open(None, "users").unwrap();
        let added = users.add(&new("zoe", "zoe@example.org")).unwrap();
        assert_eq!(users.find(added.id).unwrap(), added);
        assert!(added.active);
        assert_eq!(users.page(added.id - 1, 10).unwrap(), [added]);
        assert!(matches!(users.find(9999), Err(Fault::NotFound(_))));
    }

    #[test]
    fn the_first_users_are_there_and_one_is_not_active() {
        let users = Users::open(None, "users").unwrap().page(0, 100).unwrap();
        assert_eq!(users.len(), FIRST.len());
        assert_eq!(users.iter().filter(|user| !user.active).count(), 1);
        assert_eq!(
            users.first().map(|user| user.username.as_str()),
            Some("alice")
        );
    }

    #[test]
    fn refuses_nonsense_and_duplicates() {
        let users = Users::open(None, "users").unwrap();
        assert!(matches!(
            users.add(&new("alice", "a@b")),
            Err(Fault::Conflict(_))
        ));
        assert!(matches!(
            users.add(&new(" ", "a@b")),
            Err(Fault::Invalid(_))
        ));
        assert!(matches!(
            users.add(&new("x", "nowhere")),
            Err(Fault::Invalid(_))
        ));
        assert!(matches!(
            users.add(&new(&"x".repeat(101), "a@b")),
            Err(Fault::Invalid(_))
        ));
    }
}
