//! Settings from maps of strings.

use super::*;
use std::net::SocketAddr;

#[test]
fn every_error_is_reported_and_named() {
    let strings = [
        ("PORT", "eighty"),
        ("TIMEOUT", "5"),
        ("LEVEL", "loud"),
        ("TOKEN", "hush"),
    ];
    let mut read = Reader::new(&strings);
    let addr = read.required::<SocketAddr>("ADDR", "an address");
    let port = read.or("PORT", "a port", 80_u16);
    let timeout = read.duration_or("TIMEOUT", Duration::ZERO);
    let level = read.one_of(
        "LEVEL",
        "quiet or normal",
        &[("quiet", 0), ("normal", 1)],
        1,
    );
    let token = read.secret("TOKEN", "64 hex digits", |_| Err::<(), _>("wrong length"));
    read.conflict("ADDR and PORT exclude each other");
    let errors = read
        .finish(|| Some((addr?, port?, timeout?, level?, token?)))
        .expect_err("six things are wrong");
    assert_eq!(errors.errors().len(), 6);
    let text = errors.to_string();
    for part in [
        "6 invalid settings",
        "ADDR is not set; expected an address",
        "PORT=\"eighty\" cannot be read (invalid digit found in string); expected a port",
        "TIMEOUT=\"5\" cannot be read (needs a unit: ms, s, m, h or d)",
        "LEVEL=\"loud\" cannot be read (unknown word); expected quiet or normal",
        "TOKEN cannot be read (wrong length); expected 64 hex digits",
        "ADDR and PORT exclude each other",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("hush"), "a secret appears in {text}");
}

#[test]
fn good_values_and_defaults_are_read() {
    let strings = Layered(
        [("PORT", " 81 "), ("EMPTY", "")],
        [("PORT", "82"), ("LIST", "1, 2,")],
    );
    let mut read = Reader::new(&strings);
    let port = read.or("PORT", "a port", 80_u16);
    let empty = read.or("EMPTY", "a number", 5_u8);
    let list = read.list::<u8>("LIST", "numbers");
    let none = read.optional::<u8>("NONE", "a number");
    let switch = read.switch_or("SWITCH", true);
    let read = read.finish(|| Some((port?, empty?, list?, none?, switch?)));
    assert_eq!(read, Ok((81, 5, vec![1, 2], None, true)));
}
