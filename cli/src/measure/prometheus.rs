//! Reads the Prometheus text format, as far as the sidecars write it.
//!
//! Pure. A line that cannot be read is passed over: a newer sidecar may write more.

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The name, with its suffix.
    pub name: &'a str,
    /// Name and labels as they were written: the same for every look at one series.
    pub series: &'a str,
    /// Labels in the order of the text.
    pub labels: Vec<(&'a str, String)>,
    /// The value.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label; empty when it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels
            .iter()
            .find(|(label, _)| *label == name)
            .map_or("", |(_, value)| value)
    }
}

/// The samples whose name is one of `names`.
pub fn samples<'a>(text: &'a str, names: &[&str]) -> Vec<Sample<'a>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter(|line| names.iter().any(|name| line.starts_with(name)))
        .filter_map(sample)
        .filter(|sample| names.contains(&sample.name))
        .collect()
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    let series = line.get(..line.len() - rest.len())?;
    Some(Sample {
        name,
        series,
        labels,
        value,
    })
}

type Labels<'a> = (Vec<(&'a str, String)>, &'a str);

fn labels(mut rest: &str) -> Option<Labels<'_>> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.push((name, value));
        rest = after.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a b\n# TYPE a counter\na_total{x=\"1\",y=\"q\\\"\\\\\\n, }\"} 7\nab 3\na 2.5 \
                    1700000000\nbroken{x=\"1\na_total{} 1e3\n";
        let found = samples(text, &["a_total", "a"]);
        let values: Vec<f64> = found.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [7.0, 2.5, 1000.0]);
        let first = found.first().unwrap();
        assert_eq!(first.label("y"), "q\"\\\n, }");
        assert_eq!(first.label("z"), "");
        assert!(first.series.starts_with("a_total{x=") && first.series.ends_with('}'));
    }
}
