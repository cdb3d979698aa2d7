//! What the end-to-end tests share: a mesh of real processes ([`mesh`]), a bounded load through a sidecar ([`load`]).
//!
//! The tests themselves are in `direct/` (real processes on loopback); `alone_*` are those that measure time and run
//! with nothing beside them. They see the mesh as a user does: files, the command line, HTTP, the admin ports.

#![allow(
    clippy::expect_used,
    reason = "only tests call this, and a test that cannot set up its parts has failed"
)]

pub mod load;
pub mod mesh;

/// Whether the long figures are asked for (`cargo xtask test --long`).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "how the gate tells its tests")]
pub fn long() -> bool {
    std::env::var("WEFT_LONG").is_ok_and(|value| value == "1")
}
