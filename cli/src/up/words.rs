//! The words of a command that stands in an annotation: a JSON array, or text as a shell splits it.
//!
//! Only quoting is known: no variables, no operators, since nothing here is run by a shell. Whoever
//! wants one writes `sh -c '...'`.

/// Splits a command into its words; at least one.
///
/// # Errors
/// With the rest of a sentence that says what is wrong.
pub fn command(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim();
    let words = if text.starts_with('[') {
        serde_json::from_str(text)
            .map_err(|error| format!("is not a JSON array of strings: {error}"))?
    } else {
        split(text)?
    };
    if words.is_empty() {
        return Err("names no command".to_owned());
    }
    Ok(words)
}

fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => {
                let word = word.get_or_insert_with(String::new);
                loop {
                    match letters.next() {
                        Some(inner) if inner == letter => break,
                        Some('\\') if letter == '"' => match letters.next() {
                            Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err(format!("has an open {letter}")),
                        },
                        Some(inner) => word.push(inner),
                        None => return Err(format!("has an open {letter}")),
                    }
                }
            }
            '\\' => match letters.next() {
                Some(escaped) => word.get_or_insert_with(String::new).push(escaped),
                None => return Err("ends with a backslash".to_owned()),
            },
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_with(String::new).push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(command(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        check(
            "weft shop order-service",
            &["weft", "shop", "order-service"],
        );
        check("sh -c 'echo \"$PORT\"'", &["sh", "-c", "echo \"$PORT\""]);
        check(
            r#"a "b \" \\ \n c" d\ e ''"#,
            &["a", r#"b " \ \n c"#, "d e", ""],
        );
        check("  a\n b ", &["a", "b"]);
        check(
            r#"["python3", "-u", "a b.py"]"#,
            &["python3", "-u", "a b.py"],
        );
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for text in ["", "  ", "[]", "[1]", "a 'b", "a \"b", "a \\", "[\"a\""] {
            assert!(command(text).is_err(), "{text}");
        }
    }
}
