//! The stream from the control plane: connected, kept, resumed; its `apply` is the only writer of [`crate::tables`].
//!
//! | module | its part |
//! |---|---|
//! | [`link`] | an authenticated channel |
//! | [`session`] | what is said on one stream, sans-IO |
//! | [`apply`] | a batch becomes the next snapshot |
//! | [`stream`] | move messages, back off, again |

pub mod apply;
pub mod link;
pub mod session;
pub mod stream;
