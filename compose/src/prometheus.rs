//! Prometheus: scrapes the engine.

use std::{
    io,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    error::{Context, Error},
    program,
    ready::Answer,
    server::{Launch, PROBE_LIMIT, Server, Service, Signal},
    settings,
};

const SETTINGS: &str = include_str!("../prometheus/prometheus.yml");

/// A private Prometheus with `compose/prometheus/prometheus.yml`.
pub type Prometheus = Server<PrometheusService>;

/// What a private Prometheus scrapes, and how to start and probe it.
#[derive(Clone, Debug)]
pub struct PrometheusService {
    /// Addresses (`127.0.0.1:9464`) that serve `/metrics`.
    pub targets: Vec<String>,
    /// Files with recording and alerting rules.
    pub rule_files: Vec<PathBuf>,
    /// Time between two scrapes of a target, and between two evaluations of the rules.
    pub interval: Duration,
}

impl Server<PrometheusService> {
    /// Starts Prometheus in `directory`. It scrapes `targets` (`host:port`) every 5 s, as in the
    /// composition.
    pub fn start(directory: &Path, targets: &[String], rule_files: &[PathBuf]) -> Result<Self, Error> {
        let service = PrometheusService {
            targets: targets.to_vec(),
            rule_files: rule_files.to_vec(),
            interval: Duration::from_secs(5),
        };
        Self::start_service(service, directory)
    }
}

impl Service for PrometheusService {
    const NAME: &'static str = "prometheus";

    fn launch(&self, directory: &Path, port: u16) -> Result<Launch, Error> {
        let program = program::find("prometheus", "prometheus")?;
        let file = directory.join("prometheus.yml");
        std::fs::write(&file, self.settings()?).during(|| format!("write {}", file.display()))?;
        let arguments = vec![
            format!("--config.file={}", file.display()).into(),
            format!("--storage.tsdb.path={}", directory.join("data").display()).into(),
            format!("--web.listen-address=127.0.0.1:{port}").into(),
            "--log.level=warn".into(),
        ];
        Ok(Launch { program, arguments, account: None, stop: Signal::TERM, orphaned: "TERM" })
    }

    fn probe(&self, connection: TcpStream) -> io::Result<Answer> {
        // The HTTP client opens its own connection.
        let address = connection.peer_addr()?;
        let client = ureq::Agent::config_builder().proxy(None).timeout_global(Some(PROBE_LIMIT)).build();
        let answer = client.new_agent().get(format!("http://{address}/-/ready")).call();
        answer.map(|_| Answer::Ready).map_err(io::Error::other)
    }

    fn url(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }
}

impl PrometheusService {
    /// Returns the shipped file with the interval, rules and targets of this instance, and without
    /// other scrape jobs and the Alertmanager.
    fn settings(&self) -> Result<String, Error> {
        let mut rule_files = Vec::new();
        for file in &self.rule_files {
            rule_files.push(file.canonicalize().during(|| format!("find {}", file.display()))?);
        }
        let (shipped, _) = SETTINGS.split_once("  - job_name: prometheus").unwrap_or((SETTINGS, ""));
        let interval = self.interval.as_millis();
        Ok(settings::replace(
            shipped,
            &[
                ("scrape_interval", format!("scrape_interval: {interval}ms")),
                ("evaluation_interval", format!("evaluation_interval: {interval}ms")),
                // The debug form of a list of strings is a YAML list of double-quoted strings.
                ("rule_files", format!("rule_files: {rule_files:?}")),
                ("dns_sd_configs", "static_configs:".to_owned()),
                ("{names", format!("- targets: {:?}", self.targets)),
            ],
        ))
    }
}
