//! How the gate speaks to its tests.

pub(crate) mod env;
