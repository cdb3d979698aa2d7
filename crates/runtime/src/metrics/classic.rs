//! OpenMetrics text rewritten as the classic Prometheus text format 0.0.4.
//!
//! Place: [`super::Exposition::encode`]. The two differ in little: a counter's family carries its
//! `_total` in `# TYPE` and `# HELP` too, there is no `# UNIT` and no `# EOF`, the types `info`,
//! `stateset`, `unknown` and `gaugehistogram` do not exist, and exemplars are not allowed. The
//! input is what `prometheus-client` writes; a line that is not understood passes unchanged.

/// Rewrites a whole exposition.
pub(super) fn from_openmetrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // HELP precedes TYPE but needs to know it, so it waits here.
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest.split_once(' ').unwrap_or((rest, "")));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "gaugehistogram" => ("", "histogram"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((help_name, help_text)) = help.take()
                && help_name == name
            {
                push_all(&mut out, &["# HELP ", name, suffix, " ", help_text, "\n"]);
            }
            push_all(&mut out, &["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if line.starts_with("# UNIT ") || line == "# EOF" {
            // Not part of the classic format.
        } else {
            push_all(&mut out, &[without_exemplar(line), "\n"]);
        }
    }
    out
}

fn push_all(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

/// A sample line up to its exemplar, which begins with ` # ` outside of a quoted label value.
fn without_exemplar(line: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'#' if !quoted => return line.get(..at).unwrap_or(line).trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(openmetrics: &str, classic: &str) {
        assert_eq!(from_openmetrics(openmetrics), classic);
    }

    #[test]
    fn counters_carry_total_in_their_family() {
        check(
            "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"y\"} 1\n# EOF\n",
            "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"y\"} 1\n",
        );
    }

    #[test]
    fn units_and_exemplars_are_dropped() {
        check(
            "# HELP d_seconds Time.\n# TYPE d_seconds histogram\n# UNIT d_seconds seconds\n\
             d_seconds_bucket{le=\"1.0\",p=\"a # \\\" b\"} 2 # {id=\"7\"} 0.5\nd_seconds_count 2\n",
            "# HELP d_seconds Time.\n# TYPE d_seconds histogram\n\
             d_seconds_bucket{le=\"1.0\",p=\"a # \\\" b\"} 2\nd_seconds_count 2\n",
        );
    }

    #[test]
    fn types_that_do_not_exist_become_gauges() {
        check(
            "# HELP v Version.\n# TYPE v info\nv_info{v=\"1\"} 1\n# TYPE u unknown\nu 1\n",
            "# HELP v_info Version.\n# TYPE v_info gauge\nv_info{v=\"1\"} 1\n# TYPE u untyped\nu 1\n",
        );
    }
}
