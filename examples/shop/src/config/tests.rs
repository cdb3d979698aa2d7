//! Tests of the settings: their defaults, their forms, and their errors.

use std::collections::HashMap;

use super::*;

fn settings(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn config(pairs: &[(&str, &str)]) -> Config {
    Config::from_strings(Service::Order, &settings(pairs)).unwrap()
}

#[test]
fn outside_kubernetes_it_listens_on_loopback_under_a_name_of_its_own() {
    let config = config(&[("PORT", "4567"), ("HOSTNAME", "the-laptop")]);
    assert_eq!(config.http, ["127.0.0.1:4567".parse().unwrap()]);
    assert_eq!(config.instance, "order-service-4567");
    assert_eq!(config.version, "v1");
}

#[test]
fn in_kubernetes_it_listens_everywhere_under_the_name_of_the_pod() {
    let config = config(&[
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("HOSTNAME", "order-x1"),
    ]);
    assert_eq!(
        config.http,
        [
            "[::]:8080".parse().unwrap(),
            "0.0.0.0:8080".parse().unwrap()
        ]
    );
    assert_eq!(config.instance, "order-x1");
}

#[test]
fn upstreams_are_bare_names_unless_told_otherwise() {
    let config = config(&[("PAYMENT_SERVICE_URL", "http://127.0.0.1:99")]);
    let uri = |service| config.upstreams.uri(service, "/x?y=1").unwrap().to_string();
    assert_eq!(uri(Service::User), "http://user-service/x?y=1");
    assert_eq!(uri(Service::Payment), "http://127.0.0.1:99/x?y=1");
    assert_eq!(config.upstreams.user_grpc, "user-service:50051");
}

#[test]
fn grpc_takes_the_variables_of_kubernetes() {
    let with = |host, port| {
        let pairs = [
            ("USER_SERVICE_SERVICE_HOST", host),
            ("USER_SERVICE_SERVICE_PORT_GRPC", port),
        ];
        config(&pairs).upstreams.user_grpc.to_string()
    };
    assert_eq!(with("10.0.0.7", "50051"), "10.0.0.7:50051");
    assert_eq!(with("fd00::7", "50051"), "[fd00::7]:50051");
    assert_eq!(with("10.0.0.7", ""), "user-service:50051");
}

#[test]
fn every_error_is_listed() {
    let wrong = settings(&[
        ("PORT", "many"),
        ("DRAIN_SECONDS", "-1"),
        ("CHAOS_ERROR_RATE", "2"),
        ("USER_SERVICE_URL", "https://user-service"),
        ("http_proxy", "socks5://127.0.0.1:1"),
    ]);
    let errors = Config::from_strings(Service::Order, &wrong).unwrap_err();
    assert_eq!(errors.0.len(), 5, "{errors}");
}
