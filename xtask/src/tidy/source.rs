//! Just enough of a Rust lexer to tell code from comments, literals and test modules.
//!
//! The rules search for words; a word in a comment or in a test is no breach. The lexer keeps every
//! line break, so that a place in the blanked code is the same place in the file. It does not
//! expand macros: a test region is an item under `#[cfg(test)]`, written out.

use std::ops::RangeInclusive;

/// A string literal: where it stands, and what is between its quotes, escapes not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Counted from 1.
    pub(super) line: usize,
    /// The byte of its line at which its opening quote stands, from 0.
    pub(super) column: usize,
    pub(super) text: String,
}

/// A Rust file, read.
#[derive(Debug)]
pub(super) struct Source {
    /// The text with comments and the inside of literals blanked.
    code: String,
    literals: Vec<Literal>,
    /// Lines of items under `#[cfg(test)]`.
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    /// Reads a text; never fails, since the compiler has the last word on what is Rust.
    pub(super) fn read(text: &str) -> Self {
        let mut lexer = Lexer {
            text: text.as_bytes(),
            at: 0,
            line: 1,
            line_start: 0,
            code: Vec::new(),
            literals: Vec::new(),
        };
        lexer.run();
        let code = String::from_utf8_lossy(&lexer.code).into_owned();
        let tests = test_regions(&code);
        Self {
            code,
            literals: lexer.literals,
            tests,
        }
    }

    /// Lines of code outside tests, numbered from 1, comments and literals blanked.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .filter(|(number, _)| !self.is_test(*number))
    }

    /// String literals outside tests.
    pub(super) fn literals(&self) -> impl Iterator<Item = &Literal> {
        self.literals
            .iter()
            .filter(|literal| !self.is_test(literal.line))
    }

    fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|region| region.contains(&line))
    }
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
    code: Vec<u8>,
    literals: Vec<Literal>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'/' if self.peek(1) == Some(b'/') => {
                    self.blank_while(|lexer| lexer.peek(0) != Some(b'\n'))
                }
                b'/' if self.peek(1) == Some(b'*') => self.block_comment(),
                b'"' => self.string(0),
                b'r' if !self.after_word() => match self.raw_hashes() {
                    Some(hashes) => self.raw_string(hashes),
                    None => self.keep(),
                },
                b'\'' => self.quote(),
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// Whether the byte before continues a word, so that `r` is not a raw string's; the prefixes
    /// `br` and `cr` are.
    fn after_word(&self) -> bool {
        let before = |back: usize| {
            self.at
                .checked_sub(back)
                .and_then(|at| self.text.get(at))
                .copied()
        };
        let word = |byte: Option<u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match before(1) {
            Some(b'b' | b'c') => word(before(2)),
            byte => word(byte),
        }
    }

    /// The hashes of a raw string that begins at this `r`.
    fn raw_hashes(&self) -> Option<usize> {
        let hashes = (1..)
            .take_while(|ahead| self.peek(*ahead) == Some(b'#'))
            .count();
        (self.peek(hashes + 1) == Some(b'"')).then_some(hashes)
    }

    fn keep(&mut self) {
        if let Some(byte) = self.peek(0) {
            self.push(byte);
        }
    }

    fn blank(&mut self) {
        match self.peek(0) {
            Some(b'\n') => self.push(b'\n'),
            Some(_) => self.push(b' '),
            None => {}
        }
    }

    fn push(&mut self, byte: u8) {
        self.code.push(byte);
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
            self.line_start = self.at;
        }
    }

    fn blank_while(&mut self, more: impl Fn(&Self) -> bool) {
        while self.peek(0).is_some() && more(self) {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.blank();
                    self.blank();
                }
                (Some(b'*'), Some(b'/')) => {
                    depth = depth.saturating_sub(1);
                    self.blank();
                    self.blank();
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.blank(),
                (None, _) => return,
            }
        }
    }

    /// A string whose opening quote is here; `hashes` is for raw ones, which have no escapes.
    fn string(&mut self, hashes: usize) {
        let (line, column) = (self.line, self.at - self.line_start);
        self.keep();
        let start = self.at;
        let raw = hashes > 0 || self.code.ends_with(b"r\"");
        while let Some(byte) = self.peek(0) {
            if byte == b'\\' && !raw {
                self.blank();
                self.blank();
            } else if byte == b'"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some(b'#')) {
                break;
            } else {
                self.blank();
            }
        }
        let inside = self
            .text
            .get(start..self.at.min(self.text.len()))
            .unwrap_or_default();
        let text = String::from_utf8_lossy(inside).into_owned();
        self.literals.push(Literal { line, column, text });
        self.keep();
    }

    fn raw_string(&mut self, hashes: usize) {
        self.keep();
        for _ in 0..hashes {
            self.keep();
        }
        self.string(hashes);
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        let literal = match (self.peek(1), self.peek(2)) {
            (Some(b'\\'), _) => true,
            (Some(b'\''), _) | (None, _) => false,
            (Some(byte), Some(b'\'')) => byte.is_ascii(),
            // A character of several bytes; a lifetime is ASCII in practice.
            (Some(byte), _) => !byte.is_ascii(),
        };
        self.keep();
        if !literal {
            return;
        }
        if self.peek(0) == Some(b'\\') {
            self.blank();
            self.blank();
        }
        self.blank_while(|lexer| !matches!(lexer.peek(0), Some(b'\'' | b'\n')));
        self.keep();
    }
}

/// The lines of each item under `#[cfg(test)]`, in blanked code.
fn test_regions(code: &str) -> Vec<RangeInclusive<usize>> {
    const MARKS: &[&str] = &["#[cfg(test)]", "#[cfg(all(test", "#[cfg(any(test"];
    let line_of = |at: usize| code.get(..at).unwrap_or(code).matches('\n').count() + 1;
    let mut regions = Vec::new();
    for mark in MARKS {
        for (start, _) in code.match_indices(mark) {
            let mut depth = 0_usize;
            let mut end = code.len();
            for (at, byte) in code.bytes().enumerate().skip(start + mark.len()) {
                match byte {
                    b'{' => depth += 1,
                    b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if (byte == b'}' || byte == b';') && depth == 0 {
                    end = at;
                    break;
                }
            }
            regions.push(line_of(start)..=line_of(end));
        }
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::read(text).code
    }

    fn literals(text: &str) -> Vec<String> {
        Source::read(text)
            .literals()
            .map(|literal| literal.text.clone())
            .collect()
    }

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text =
            "let a = 1; // tokio::spawn\n/* x /* y */ z */ b();\nlet s = \"tokio::spawn\";\n";
        let code = code(text);
        assert!(!code.contains("spawn"));
        assert!(code.contains("b();"));
        assert_eq!(code.lines().count(), 3);
        assert_eq!(code.len(), text.len());
    }

    #[test]
    fn every_kind_of_literal_is_read() {
        assert_eq!(
            literals(r##"f("a\"b", r"c\", r#"d"e"#, b"f", br#"g"#, c"h");"##),
            ["a\\\"b", "c\\", "d\"e", "f", "g", "h"]
        );
        assert_eq!(literals("let q = '\"'; let e = '\\''; f(\"x\")"), ["x"]);
        assert_eq!(literals("fn f<'a>(x: &'a str) { g(\"y\"); }"), ["y"]);
        assert_eq!(literals("let u = 'ü'; g(\"z\")"), ["z"]);
        assert_eq!(literals("attr(\"over\"); for r in x {}"), ["over"]);
    }

    #[test]
    fn test_items_are_left_out() {
        let text = "fn a() { x(); }\n#[cfg(test)]\nmod tests {\n    fn b() { y(\"}\"); }\n}\nfn c() { z(); }\n\
            #[cfg(test)]\nmod more;\nfn d() {}\n";
        let source = Source::read(text);
        let seen: String = source.lines().map(|(_, line)| line).collect();
        for (word, present) in [
            ("x()", true),
            ("y(", false),
            ("z()", true),
            ("more", false),
            ("fn d", true),
        ] {
            assert_eq!(seen.contains(word), present, "{word}");
        }
    }

    #[test]
    fn a_literal_knows_its_place() {
        let source = Source::read("\n  f(\"x\");");
        let literal = source.literals().next().cloned().expect("one literal");
        assert_eq!((literal.line, literal.column), (2, 4));
    }
}
