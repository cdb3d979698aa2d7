//! Connect, authenticate, move messages, back off, again.
