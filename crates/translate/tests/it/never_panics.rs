//! Whatever a document says, translation answers and does not panic.

use crate::{document, translate};
use proptest::prelude::*;
use serde_json::{Map, Value};
use weft_crds::kind::Kind;
use weft_model::{policy::PolicyMeta, problem::Severity, source::ObjectRef};
use weft_translate::{Context, Identity, identify, locate, object};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// A value that the schema admits, mostly: objects with some of their fields, odd strings and numbers.
fn like(schema: &Value, depth: u32) -> BoxedStrategy<Value> {
    match schema["type"].as_str() {
        Some("object") if depth > 0 => {
            let known: Vec<(String, BoxedStrategy<Value>)> = schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, schema)| (key.clone(), like(schema, depth - 1)))
                .collect();
            if let Some(values) = schema.get("additionalProperties") {
                return prop::collection::btree_map(
                    "[a-z@*. -]{0,6}|[0-9]{1,5}",
                    like(values, depth - 1),
                    0..3,
                )
                .prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into())
                .boxed();
            }
            let count = known.len();
            prop::sample::subsequence(known, 0..=count.min(4))
                .prop_flat_map(|fields| {
                    let (keys, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
                    values.prop_map(move |values| {
                        keys.iter()
                            .cloned()
                            .zip(values)
                            .collect::<Map<_, _>>()
                            .into()
                    })
                })
                .boxed()
        }
        Some("array") if depth > 0 => {
            prop::collection::vec(like(&schema["items"], depth - 1), 0..3)
                .prop_map(Value::from)
                .boxed()
        }
        Some("string") => match schema["enum"].as_array() {
            Some(choices) => prop::sample::select(choices.clone()).boxed(),
            None => prop_oneof![
                Just(Value::from("a")),
                Just(Value::from("1s")),
                Just(Value::from("*.a")),
                ".{0,10}".prop_map(Value::from),
                r"[\\(\[a-z*?+{}|^$.)\]]{0,10}".prop_map(Value::from),
            ]
            .boxed(),
        },
        Some("integer") => prop_oneof![0_i64..200, any::<i64>()]
            .prop_map(Value::from)
            .boxed(),
        Some("number") => any::<f64>().prop_map(Value::from).boxed(),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        _ => Just(Value::Null).boxed(),
    }
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

fn answers(document: &Value) {
    let Identity::Policy(named) = identify(document, "shop") else {
        return;
    };
    let meta = PolicyMeta {
        object: named,
        generation: 1,
        created: 1,
    };
    let Ok(translated) = object(document, &meta, &Context::default()) else {
        return;
    };
    let blocked = translated.worst() >= Some(Severity::Held);
    assert_eq!(
        translated.value.is_none(),
        blocked,
        "{:?}",
        translated.problems
    );
    for problem in &translated.problems {
        assert_ne!(
            problem.code, "InvalidObject",
            "the schema admits what serde refuses: {problem:?}"
        );
        assert!(
            !problem.reason.is_empty() && !problem.remedy.is_empty(),
            "{problem:?}"
        );
    }
    assert_eq!(
        object(document, &meta, &Context::default()).unwrap(),
        translated,
        "not pure"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_any_document(document in any_json()) {
        answers(&document);
    }

    #[test]
    fn on_any_spec(kind in any_kind(), spec in any_json()) {
        let mut it = document(kind, "{}");
        it["spec"] = spec;
        answers(&it);
    }

    #[test]
    fn on_a_spec_of_its_kind((kind, spec) in any_kind().prop_flat_map(|kind| (Just(kind), like(kind.spec_schema(), 9)))) {
        let mut it = document(kind, "{}");
        it["spec"] = spec;
        answers(&it);
    }

    #[test]
    fn on_any_text(text in "[a-z0-9:{}\\[\\]&*! \n|>'\"#-]{0,80}", document in 0_usize..3, field in "[a-z0-9.\\[\\]]{0,20}") {
        let _ = locate(&text, document, &field);
    }
}

/// A field's line is found for every problem of an object in YAML.
#[test]
fn a_problem_has_a_line() {
    let yaml = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: a\nspec:\n  hosts:\n  - a\n  http:\n  - timeout: fast\n    route:\n    - destination:\n        host: a\n";
    let read: Value = serde_saphyr::from_str(yaml).unwrap();
    let problems = translate(&read).problems;
    assert_eq!(problems[0].field, "spec.http[0].timeout");
    assert_eq!(locate(yaml, 0, &problems[0].field), Some(9));
    assert_eq!(
        problems[0].object,
        ObjectRef::new("VirtualService", "shop", "a")
    );
}
