//! The metrics of an engine at one moment.

use prometheus_parse::{Sample, Scrape, Value};

/// The samples that `/metrics` returned.
#[derive(Clone, Debug)]
pub struct Metrics(Vec<Sample>);

impl Metrics {
    /// Reads the Prometheus text format.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())))?;
        Ok(Self(scrape.samples))
    }

    /// The sum of a counter or gauge over its labels; 0 if there is no sample.
    pub fn sum(&self, name: &str) -> f64 {
        self.sum_of(name, |_| true)
    }

    /// The sum of those samples of a counter or gauge whose `label` has this value.
    pub fn sum_where(&self, name: &str, label: &str, value: &str) -> f64 {
        self.sum_of(name, |sample| sample.labels.get(label) == Some(value))
    }

    fn sum_of(&self, name: &str, condition: impl Fn(&Sample) -> bool) -> f64 {
        let chosen = self.0.iter().filter(|sample| sample.metric == name && condition(sample));
        chosen.map(|sample| number(&sample.value)).fold(0.0, |sum, number| sum + number)
    }
}

/// The number of a counter or gauge. Histograms and summaries have none.
fn number(value: &Value) -> f64 {
    match value {
        Value::Counter(number) | Value::Gauge(number) | Value::Untyped(number) => *number,
        Value::Histogram(_) | Value::Summary(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_over_the_labels_of_one_name() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"2\",y=\"2\"} 4\n# TYPE ab gauge\nab 50\n";
        let metrics = Metrics::parse(text).unwrap();
        let sums = [metrics.sum("a"), metrics.sum("ab"), metrics.sum_where("a", "x", "2"), metrics.sum("c")];
        assert_eq!(sums.map(f64::to_bits), [7.0, 50.0, 4.0, 0.0].map(f64::to_bits));
    }
}
