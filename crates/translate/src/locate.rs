//! The line of a field in a YAML text: what a user is pointed at.

use granit_parser::{Event, Parser};

/// A parsed node: just enough to find a line.
enum Node {
    Scalar(usize),
    List(usize, Vec<Self>),
    /// Key, line of the key, value.
    Map(usize, Vec<(String, usize, Self)>),
}

/// Deepest nesting that is followed; policies have less than twenty levels.
const MAX_DEPTH: usize = 64;

/// The line, from 1, of `field` in the `document`-th document (from 0) of `yaml`.
///
/// A field that is not there is where it would have been: the line of its nearest ancestor that is.
/// Nothing where the text has no such document or cannot be parsed that far.
#[must_use]
pub fn locate(yaml: &str, document: usize, field: &str) -> Option<usize> {
    let mut parser = Parser::new_from_str(yaml);
    let mut index = 0;
    let root = loop {
        let (event, span) = parser.next_event()?.ok()?;
        match event {
            Event::DocumentStart(..) => {
                let node = node(&mut parser, 0)?;
                // An empty document counts for a reader of documents only if it is not the last.
                if index == document {
                    break node;
                }
                index += 1;
            }
            Event::StreamEnd => return None,
            _ => {
                let _ = span;
            }
        }
    };
    Some(line(&root, &segments(field)))
}

/// Parses one node. An alias is a scalar: its anchor is elsewhere.
fn node<'input, I: granit_parser::BorrowedInput<'input>>(
    parser: &mut Parser<'input, I>,
    depth: usize,
) -> Option<Node> {
    let (event, span) = next(parser)?;
    following(parser, &event, span, depth)
}

/// The next event that is not a comment, and its line.
fn next<'input, I: granit_parser::BorrowedInput<'input>>(
    parser: &mut Parser<'input, I>,
) -> Option<(Event<'input>, usize)> {
    loop {
        let (event, span) = parser.next_event()?.ok()?;
        if event.is_node() || matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            return Some((event, span.start.line()));
        }
        if matches!(event, Event::DocumentEnd | Event::StreamEnd) {
            return None;
        }
    }
}

/// The node that begins with `event`.
fn following<'input, I: granit_parser::BorrowedInput<'input>>(
    parser: &mut Parser<'input, I>,
    event: &Event<'input>,
    line: usize,
    depth: usize,
) -> Option<Node> {
    if depth > MAX_DEPTH {
        return None;
    }
    match event {
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                let (event, line) = next(parser)?;
                if matches!(event, Event::SequenceEnd) {
                    break;
                }
                items.push(following(parser, &event, line, depth + 1)?);
            }
            Some(Node::List(line, items))
        }
        Event::MappingStart(..) => {
            let mut fields = Vec::new();
            loop {
                let (event, line) = next(parser)?;
                if matches!(event, Event::MappingEnd) {
                    break;
                }
                let key = match event.scalar() {
                    Some((text, _)) => text.to_owned(),
                    None => {
                        following(parser, &event, line, depth + 1)?;
                        String::new()
                    }
                };
                fields.push((key, line, node(parser, depth + 1)?));
            }
            Some(Node::Map(line, fields))
        }
        _ => Some(Node::Scalar(line)),
    }
}

/// A path's segments: `a.b[0][x.y]` is `a`, `b`, `0`, `x.y`.
fn segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let (segment, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => rest
                .find(['.', '['])
                .and_then(|end| rest.split_at_checked(end))
                .unwrap_or((rest, "")),
        };
        segments.push(segment);
        rest = after;
    }
    segments
}

fn line(root: &Node, segments: &[&str]) -> usize {
    let mut node = root;
    let mut line = match root {
        Node::Scalar(line) | Node::List(line, _) | Node::Map(line, _) => *line,
    };
    for segment in segments {
        let found = match node {
            Node::Scalar(_) => None,
            Node::List(_, items) => segment
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .map(|item| {
                    let line = match item {
                        Node::Scalar(line) | Node::List(line, _) | Node::Map(line, _) => *line,
                    };
                    (line, item)
                }),
            Node::Map(_, fields) => fields
                .iter()
                .find(|(key, ..)| key == segment)
                .map(|(_, line, value)| (*line, value)),
        };
        let Some(found) = found else {
            break;
        };
        (line, node) = found;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
# a comment
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: one
spec:
  hosts: [a, b]
  http:
  - match:
    - headers:
        user-type:
          exact: beta
    route:
    - destination:
        host: a
      weight: 1
    - destination: {host: b}
---
kind: PeerAuthentication
spec:
  portLevelMtls:
    8080: {mode: STRICT}
";

    #[test]
    fn fields_have_lines() {
        let cases = [
            (0, "", Some(2)),
            (0, "kind", Some(3)),
            (0, "metadata.name", Some(5)),
            (0, "spec.hosts[1]", Some(7)),
            (0, "spec.http[0]", Some(9)),
            (0, "spec.http[0].match[0].headers[user-type]", Some(11)),
            (
                0,
                "spec.http[0].match[0].headers[user-type].exact",
                Some(12),
            ),
            (0, "spec.http[0].route[0].weight", Some(16)),
            (0, "spec.http[0].route[1].destination.host", Some(17)),
            (0, "spec.http[0].route[0].destination.subset", Some(14)),
            (0, "spec.http[7].route", Some(8)),
            (1, "spec.portLevelMtls[8080].mode", Some(22)),
            (1, "metadata.name", Some(19)),
            (2, "kind", None),
        ];
        for (document, field, expected) in cases {
            assert_eq!(
                locate(YAML, document, field),
                expected,
                "{document} {field}"
            );
        }
        assert_eq!(locate("a: [", 0, "a"), None);
        assert_eq!(locate("", 0, "a"), None);
        let anchors = "a: &x {b: 1}\nc: *x\nd: 2\n";
        assert_eq!(locate(anchors, 0, "c.b"), Some(2));
        assert_eq!(locate(anchors, 0, "d"), Some(3));
    }
}
