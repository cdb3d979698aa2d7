//! YAML text to documents: plain values, with the line of each field.
//!
//! The values are JSON's, as Kubernetes reads YAML. Lines are kept apart, by the path that problems name, so that nothing
//! behind this module handles text.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;
use std::{collections::BTreeMap, fmt};

/// Lines of the fields of one document, by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines(BTreeMap<String, u32>);

impl Lines {
    /// The line of `field`, or of the nearest field above it that is there; 0 when nothing is.
    #[must_use]
    pub fn line(&self, field: &str) -> u32 {
        let mut path = plain(field);
        loop {
            if let Some(line) = self.0.get(&path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(at) => path.truncate(at),
                None if path.is_empty() => return 0,
                None => path.clear(),
            }
        }
    }
}

/// `headers["user-type"]` and `headers[user-type]` as `headers.user-type`; indexes stay.
fn plain(field: &str) -> String {
    let mut path = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, inside)) = rest.split_once('[') {
        path.push_str(before);
        let (key, after) = inside.split_once(']').unwrap_or((inside, ""));
        if key.chars().all(|c| c.is_ascii_digit()) {
            path.push_str(&format!("[{key}]"));
        } else {
            path.push('.');
            path.push_str(key.trim_matches(['"', '\'']));
        }
        rest = after;
    }
    path.push_str(rest);
    path
}

/// One document of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) lines: Lines,
}

/// Why a file is no YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct SyntaxError {
    /// Line, counted from one; 0 where the parser cannot say.
    pub line: u32,
    /// The parser's reason, one line.
    pub reason: String,
}

/// All documents of a text. Empty ones are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Document>, SyntaxError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| SyntaxError {
            line: error
                .location()
                .map_or(0, |at| u32::try_from(at.line()).unwrap_or(0)),
            reason: one_line(&error.to_string()),
        })?;
    Ok(nodes
        .into_iter()
        .map(|node| {
            let mut lines = Lines::default();
            let at = line_of(&node);
            let value = node.value.into_value(String::new(), at, &mut lines.0);
            Document { value, lines }
        })
        .filter(|document| !document.value.is_null())
        .collect())
}

/// The parser's first line, without its own mention of the place.
fn one_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.find(" at line ") {
        Some(at) => line.get(..at).unwrap_or(line).to_owned(),
        None => line.to_owned(),
    }
}

fn line_of<T>(spanned: &Spanned<T>) -> u32 {
    u32::try_from(spanned.referenced.line()).unwrap_or(0)
}

/// A YAML node with the places of what is in it.
#[derive(Debug)]
enum Node {
    Plain(Value),
    List(Vec<Spanned<Self>>),
    Fields(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Node {
    fn into_value(self, path: String, line: u32, lines: &mut BTreeMap<String, u32>) -> Value {
        let value = match self {
            Self::Plain(value) => value,
            Self::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| {
                    let at = line_of(&item);
                    item.value.into_value(format!("{path}[{index}]"), at, lines)
                })
                .collect(),
            Self::Fields(fields) => {
                let mut map = Map::new();
                for (key, item) in fields {
                    let at = line_of(&key);
                    let key = key.value;
                    let inner = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    map.insert(key, item.value.into_value(inner, at, lines));
                }
                Value::Object(map)
            }
        };
        lines.insert(path, line);
        value
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a comment
apiVersion: v1
kind: Service
spec:
  ports:
    - port: 80
      name: http
    - port: 81
  selector:
    app.kubernetes.io/name: x
---
---
kind: Other
hosts: [a,
  b]
";

    #[test]
    fn fields_have_their_lines() {
        let documents = parse(TEXT).unwrap();
        assert_eq!(documents.len(), 2);
        let [first, second] = &documents[..] else {
            panic!("two documents")
        };
        assert_eq!(first.value["spec"]["ports"][1]["port"], 81);
        let line = |field| first.lines.line(field);
        assert_eq!(line("kind"), 3);
        assert_eq!(line("spec"), 4);
        assert_eq!(line("spec.ports[0].name"), 7);
        assert_eq!(line("spec.ports[1].port"), 8);
        assert_eq!(line("spec.ports[1].missing.deep"), 8);
        assert_eq!(line("spec.ports[7]"), 5);
        assert_eq!(line("spec.selector[app.kubernetes.io/name]"), 10);
        assert_eq!(line(""), 2);
        assert_eq!(second.lines.line("hosts[1]"), 15);
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!((2..=4).contains(&error.line), "{error}");
        assert!(!error.reason.contains('\n') && !error.reason.is_empty());
        let error = parse("a:\n\tb: 2\n").unwrap_err();
        assert_eq!(error.line, 2, "{error}");
        let error = parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(error.line, 2, "{error}");
    }
}
