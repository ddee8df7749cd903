//! Reads the metrics of a running engine, for commands that show them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(2);

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    samples: Vec<(String, f64)>,
}

/// Scrapes `/metrics` of the engine at an address.
pub(crate) async fn scrape(address: SocketAddr) -> anyhow::Result<Samples> {
    Ok(Samples::parse(&get(address, "/metrics").await?))
}

/// The body of a page of the engine; an error unless the status is 200.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        anyhow::Ok(response)
    };
    let response = tokio::time::timeout(PATIENCE, exchange).await.context("no answer in time")??;
    let (head, body) = response.split_once("\r\n\r\n").context("no HTTP answer")?;
    if !head.lines().next().unwrap_or_default().contains(" 200 ") {
        bail!("{}", body.trim());
    }
    Ok(body.to_owned())
}

impl Samples {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self { samples: samples.collect() }
    }

    /// The sum of a metric over all its labels; 0 where there is none.
    pub(crate) fn sum(&self, metric: &str) -> f64 {
        let of_metric = |(series, _): &&(String, f64)| {
            series.strip_prefix(metric).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        // The sum of no samples is −0.0, which would show.
        self.samples.iter().filter(of_metric).map(|(_, value)| value).sum::<f64>() + 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a\na{shard=\"0\"} 3\na{shard=\"1\"} 4\nab 100\n";

    #[test]
    fn sums_over_labels_and_only_this_metric() {
        assert!((Samples::parse(TEXT).sum("a") - 7.0).abs() < f64::EPSILON);
    }
}
