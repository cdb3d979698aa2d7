//! Reads a text exposition, of either format, and sums what a test asks about.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::client::Client;

/// One line of an exposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name with its suffix, as in `x_bucket`.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A label's value; empty when it is not there.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.label(name) == *value)
    }
}

/// A whole exposition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrape {
    samples: Vec<Sample>,
}

impl Scrape {
    /// Reads text.
    ///
    /// # Errors
    /// When a line is neither a comment nor a sample; the line is the error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        let samples = lines.map(|line| sample(line).ok_or_else(|| line.to_owned()));
        Ok(Self {
            samples: samples.collect::<Result<_, _>>()?,
        })
    }

    /// Asks an admin port.
    ///
    /// # Errors
    /// When nobody answers, or not with an exposition.
    pub async fn fetch(admin: SocketAddr) -> anyhow::Result<Self> {
        let reply = Client::h1(admin).await?.get("/metrics").await?;
        anyhow::ensure!(reply.status == 200, "/metrics answered {}", reply.status);
        Self::parse(&reply.text()).map_err(|line| anyhow::anyhow!("not a sample: {line}"))
    }

    /// The samples of that name with at least those labels.
    pub fn find<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |s| s.name == name && s.has(labels))
    }

    /// Their sum; zero when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).map(|sample| sample.value).sum()
    }

    /// The value of the only one; `None` when there is none or more than one.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.find(name, labels);
        let first = found.next()?;
        found.next().is_none().then_some(first.value)
    }

    /// All samples.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

fn sample(line: &str) -> Option<Sample> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    // What follows the value is a timestamp or an exemplar.
    let value = match rest.split_ascii_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        rest = after.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_and_summed() {
        let text = "# HELP a Help.\n# TYPE a counter\na_total{x=\"1\",y=\"q\\\"\\\\\\n,}\"} 2\n\
                    a_total{x=\"2\",y=\"\"} 3.5 # {id=\"x\"} 1\nb 7\nb_bucket{le=\"+Inf\"} +Inf\n# EOF\n";
        let scrape = Scrape::parse(text).unwrap();
        assert_eq!(scrape.samples().len(), 4);
        assert_eq!(scrape.sum("a_total", &[]), 5.5);
        assert_eq!(scrape.sum("a_total", &[("x", "2")]), 3.5);
        assert_eq!(scrape.value("a_total", &[("x", "1")]), Some(2.0));
        assert_eq!(scrape.value("a_total", &[]), None, "two");
        assert_eq!(scrape.value("none", &[]), None);
        assert_eq!(scrape.value("b", &[]), Some(7.0));
        let first = scrape.find("a_total", &[]).next().unwrap();
        assert_eq!(first.label("y"), "q\"\\\n,}");
        assert_eq!(Scrape::parse("nonsense"), Err("nonsense".to_owned()));
    }
}
