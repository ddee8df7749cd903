//! An engine in a test. A method that fails panics and prints the engine's log.

use std::process::ExitStatus;
use std::time::Instant;

use rustix::process::Signal;

use crate::config::{Addresses, Config};
use crate::engine_process::EngineProcess;
use crate::http::Response;
use crate::log_lines::LogLine;
use crate::timing::{POLL_INTERVAL, TIMEOUT};

/// A running engine. Killed when dropped.
#[derive(Debug)]
pub struct Engine {
    process: EngineProcess,
    addresses: Addresses,
}

impl Engine {
    pub(crate) fn new(process: EngineProcess, addresses: Addresses) -> Self {
        Self { process, addresses }
    }

    /// The address of its HTTP server, as in `http.listen`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.process.port())
    }

    /// Waits until it is ready.
    pub async fn until_ready(&self) {
        let started = Instant::now();
        while !self.process.is_ready().await {
            self.check(started, || "not ready".to_owned());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Requests a path of its HTTP server.
    pub async fn get(&self, path: &str) -> Response {
        let answer = self.process.get(path).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:#}\n{}", self.log()))
    }

    /// Sends a request with a JSON body to its HTTP server. Returns status and JSON answer.
    pub async fn api(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> (u16, serde_json::Value) {
        self.api_with(None, method, path, body).await
    }

    /// Sends a request like [`api`](Self::api), with a token.
    pub async fn api_with(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> (u16, serde_json::Value) {
        let body = body.map(ToString::to_string);
        let answer = self.process.request(method, path, token, body, TIMEOUT).await;
        let Response { status, body } = answer.unwrap_or_else(|error| panic!("{method} {path}: {error:#}"));
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("not JSON: {body}")))
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.process.metrics().await;
        metrics.unwrap_or_else(|error| panic!("no metrics: {error:#}\n{}", self.log())).sum(name)
    }

    /// The sample of a metric with this label; 0 if there is none.
    pub async fn metric_where(&self, name: &str, (label, value): (&str, &str)) -> f64 {
        let metrics = self.process.metrics().await;
        let metrics = metrics.unwrap_or_else(|error| panic!("no metrics: {error:#}\n{}", self.log()));
        metrics.sum_where(name, label, value)
    }

    /// Waits until a metric, summed over its labels, is at least this large.
    pub async fn until_metric(&self, name: &str, at_least: f64) {
        let started = Instant::now();
        loop {
            let found = self.metric(name).await;
            if found >= at_least {
                return;
            }
            self.check(started, || format!("{name} stays at {found}"));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until a metric, summed over its labels, is below a bound.
    pub async fn until_metric_below(&self, name: &str, bound: f64) {
        let started = Instant::now();
        loop {
            let found = self.metric(name).await;
            if found < bound {
                return;
            }
            self.check(started, || format!("{name} stays at {found}"));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the sample of a metric with this label is at least this large.
    pub async fn until_metric_where(&self, name: &str, (label, value): (&str, &str), at_least: f64) {
        let started = Instant::now();
        loop {
            let metrics = self.process.metrics().await;
            let found = metrics.map(|metrics| metrics.sum_where(name, label, value)).unwrap_or_default();
            if found >= at_least {
                return;
            }
            self.check(started, || format!("{name} of {label} {value} stays at {found}"));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until it has logged a line.
    pub async fn until_logged(&self, line: LogLine) {
        self.until_log_contains(line.text).await;
    }

    /// Waits until its log contains a text that the test itself has caused, such as a wrong key.
    pub async fn until_log_contains(&self, text: &str) {
        let started = Instant::now();
        while !self.log().contains(text) {
            self.check(started, || format!("the log does not say: {text}"));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Checks that it has logged a line.
    pub fn assert_logged(&self, line: LogLine) {
        assert!(self.log().contains(line.text), "the log does not say: {}\n{}", line.text, self.log());
    }

    /// Checks that it has logged a line that also contains `detail`, such as a sensor's name.
    pub fn assert_logged_with(&self, line: LogLine, detail: &str) {
        let log = self.log();
        let is_logged = log.lines().any(|logged| logged.contains(line.text) && logged.contains(detail));
        assert!(is_logged, "the log does not say: {} ({detail})\n{log}", line.text);
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its exit status, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Stops it with SIGTERM. Returns its exit status.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let ended = self.process.wait(TIMEOUT).await.unwrap_or_else(|error| panic!("{error:#}"));
        ended.unwrap_or_else(|| panic!("does not stop\n{}", self.log()))
    }

    /// Replaces its configuration file.
    pub fn rewrite_config(&self, config: &Config) {
        let written = self.process.rewrite_config(&config.file(&self.addresses));
        written.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Replaces its configuration file and sends SIGHUP.
    pub fn reload(&self, config: &Config) {
        self.rewrite_config(config);
        self.signal(Signal::HUP);
    }

    /// Sets how many descriptors it may have open.
    pub fn limit_descriptors(&self, most: u64) {
        self.process.limit_descriptors(most).unwrap_or_else(|error| panic!("{error:#}"));
    }

    fn signal(&self, signal: Signal) {
        self.process.signal(signal).unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Panics if a wait that began at `started` has taken too long.
    fn check(&self, started: Instant, what: impl Fn() -> String) {
        assert!(started.elapsed() < TIMEOUT, "{} after {TIMEOUT:?}\n{}", what(), self.log());
    }
}
