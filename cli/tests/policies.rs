//! Every policy in `examples/policies/` says what Weft enforces, without a problem: it is what
//! newcomers copy.

use serde_json::Value;
use weft_model::policy::PolicyMeta;
use weft_translate::{Context, Identity, identify, object};

#[test]
fn every_example_is_accepted_without_a_problem() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    let mut objects = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.display();
        assert!(
            text.starts_with("# "),
            "{file} does not begin with a comment"
        );
        for document in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
            let Identity::Policy(named) = identify(&document, "production") else {
                panic!("{file} holds something that is no policy: {document}");
            };
            let meta = PolicyMeta {
                object: named,
                generation: 1,
                created: 1,
            };
            let translated = object(&document, &meta, &Context::default()).unwrap();
            assert!(
                translated.problems.is_empty(),
                "{file}: {:?}",
                translated.problems
            );
            assert!(translated.value.is_some(), "{file}");
            objects += 1;
        }
    }
    assert!(objects >= 9, "{objects} objects");
}
