//! The stream from the control plane: connected, kept, resumed; its `apply` is the only writer of [`crate::tables`].
//!
//! | module | its part |
//! |---|---|
//! | [`session`] | what is said on one stream, sans-IO |
//! | [`apply`] | a batch becomes the next snapshot |
//! | [`stream`] | connect, authenticate, move messages, back off, again |

pub mod apply;
pub mod session;
pub mod stream;
