//! What is said to people: ten mistakes, and edits as they go.

use super::*;
use crate::{
    fixture::{object, service},
    source::{
        folder::{Memory, Text},
        laptop::Reading,
        registry::Registry,
    },
};
use prometheus_client::registry::Registry as Families;
use std::path::PathBuf;

struct Desk {
    hub: Arc<Hub>,
    reading: Reading,
    files: BTreeMap<PathBuf, Text>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn new() -> Self {
        let trust_domain: TrustDomain = "cluster.local".parse().unwrap();
        let trust = TrustBundle {
            trust_domain: trust_domain.clone(),
            anchors_der: vec![vec![1]],
        };
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&said);
        let say = Box::new(move |text: &str| lines.lock().push(text.to_owned()));
        let hub = Hub::new(
            trust_domain,
            trust,
            Metrics::register(&mut Families::default()),
            say,
        );
        let reading = Reading::new("shop".to_owned(), Memory::default());
        let mut desk = Self {
            hub,
            reading,
            files: BTreeMap::new(),
            said,
        };
        desk.files.insert(
            "services.yaml".into(),
            Text::Read(service("cart") + &service("pay")),
        );
        let delivery = desk.delivery().unwrap();
        desk.hub.begin(delivery, Vec::new());
        desk
    }

    fn delivery(&mut self) -> Option<Delivery> {
        let news = self
            .reading
            .next(Some(self.files.clone()), Some(Registry::default()))?;
        let crate::source::laptop::News {
            changes,
            edits,
            problems,
        } = news;
        Some(Delivery {
            noticed: Instant::now(),
            changes,
            edits,
            problems,
        })
    }

    /// What is said when `file` is written.
    fn write(&mut self, file: &str, text: &str) -> String {
        self.said.lock().clear();
        self.files.insert(file.into(), Text::Read(text.to_owned()));
        if let Some(delivery) = self.delivery() {
            self.hub.deliver(delivery);
        }
        self.said.lock().join("\n") + "\n"
    }
}

const MISTAKES: [(&str, &str); 10] = [
    (
        "a subset that no rule defines",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: pay\nspec:\n  hosts:\n    - pay\n  http:\n    - route:\n        - destination:\n            host: pay\n            subset: v2\n",
    ),
    (
        "a host with a letter too few",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: pay\nspec:\n  hosts:\n    - pay\n  http:\n    - route:\n        - destination:\n            host: cat\n",
    ),
    (
        "a field with a letter too many",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: pay\nspec:\n  hosts:\n    - pay\n  http:\n    - routes:\n        - destination:\n            host: pay\n",
    ),
    (
        "a bracket that is not closed",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: pay\nspec:\n  hosts: [pay\n  http:\n    - route:\n        - destination: {host: pay}\n",
    ),
    (
        "a tab for indentation",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n\tname: pay\n",
    ),
    (
        "a weight that is no number",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: pay\nspec:\n  hosts:\n    - pay\n  http:\n    - route:\n        - destination:\n            host: pay\n          weight: most\n",
    ),
    (
        "a regular expression that is none",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: pay\nspec:\n  hosts:\n    - pay\n  http:\n    - match:\n        - uri:\n            regex: '/a(b'\n      route:\n        - destination:\n            host: pay\n",
    ),
    (
        "a mode that does not exist",
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n  name: default\nspec:\n  mtls:\n    mode: ALWAYS\n",
    ),
    (
        "a timeout without a unit",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: pay\nspec:\n  hosts:\n    - pay\n  http:\n    - timeout: 5\n      route:\n        - destination:\n            host: pay\n",
    ),
    (
        "a kind that is not known here",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: pay\nspec: {}\n",
    ),
];

#[test]
fn ten_mistakes_say_where_what_and_what_to_do() {
    let mut text = String::new();
    for (what, yaml) in MISTAKES {
        let mut desk = Desk::new();
        let said = desk.write("pay.yaml", yaml);
        text.push_str(&format!("# {what}\n{said}\n"));
        assert!(said.contains("remedy: "), "{what}: {said}");
        assert!(said.contains("pay.yaml:"), "{what}: {said}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_problem_is_said_once_and_its_end_too() {
    let mut desk = Desk::new();
    let route = |host: &str| {
        object(
            "VirtualService",
            "pay",
            &format!("{{hosts: [pay], http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}"),
        )
    };
    let good = route("cart");
    assert_eq!(
        desk.write("pay.yaml", &good),
        "added VirtualService shop/pay (pay.yaml:2): no proxy needs it yet\n"
    );
    let said = desk.write("pay.yaml", &route("cars"));
    assert!(
        said.starts_with(
            "changed VirtualService shop/pay (pay.yaml:2): held, generation 1 stays in force\n"
        ),
        "{said}"
    );
    assert!(
        said.contains("did you mean `cart.shop.svc.cluster.local`?"),
        "{said}"
    );
    let said = desk.write("other.yaml", &service("other"));
    assert_eq!(
        said,
        "added Service shop/other (other.yaml:2): no proxy needs it yet\n"
    );
    assert_eq!(
        desk.write("pay.yaml", &good),
        "changed VirtualService shop/pay (pay.yaml:2): no proxy needs it yet\n"
    );
    let said = desk.write("pay.yaml", "a: [");
    assert!(
        said.contains("its one object stays as it was before"),
        "{said}"
    );
    assert_eq!(
        desk.write("pay.yaml", &good),
        "pay.yaml: no problem left, and nothing else changed\n"
    );
    let said = desk.write("services.yaml", &service("pay"));
    assert!(
        said.starts_with("removed Service shop/cart (services.yaml:2): no proxy needs it yet\n"),
        "{said}"
    );
    assert!(
        said.contains(
            "not enforced: there is no Service `cart.shop.svc.cluster.local`; it was there"
        ),
        "{said}"
    );
    let said = desk.write("services.yaml", &(service("pay") + &service("cart")));
    assert_eq!(
        said,
        "added Service shop/cart (services.yaml:9): no proxy needs it yet\n"
    );
}

#[test]
fn a_younger_one_for_the_same_host_says_that_it_lost() {
    let mut desk = Desk::new();
    let spec = "{hosts: [pay], http: [{route: [{destination: {host: cart}}]}]}";
    desk.write("a.yaml", &object("VirtualService", "first", spec));
    let said = desk.write("b.yaml", &object("VirtualService", "second", spec));
    assert!(said.contains("not enforced: `pay.shop.svc.cluster.local` is routed by the older VirtualService shop/first (Conflict)"), "{said}");
    let statuses = desk.hub.policies();
    let problems: Vec<usize> = statuses.iter().map(|it| it.problems.len()).collect();
    assert_eq!(problems, [0, 1]);
}
