//! The settings of a route: `[notify.route]` and `[[notify.routes]]` of the configuration, whose
//! reference is `default.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thicket_detector::{QuietHours, TimeZone};

/// The receiver of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiverKind {
    /// HTTP POST.
    Webhook,
    /// Retained messages of a broker.
    Mqtt,
    /// E-mail through an SMTP server.
    Email,
}

/// The form of the body of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// All that is known, as JSON.
    Json,
    /// An incoming webhook of Slack, Mattermost or Rocket.Chat.
    Slack,
    /// A workflow of Microsoft Teams, as an adaptive card.
    Teams,
    /// A topic of ntfy.
    Ntfy,
    /// The Events API of `PagerDuty`, version 2.
    Pagerduty,
    /// The API of Alertmanager, version 2.
    Alertmanager,
}

/// A kind of notifications that a route sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An anomaly began.
    Opened,
    /// An anomaly is over.
    Ended,
    /// An anomaly goes on.
    Reminder,
    /// A person labelled an anomaly.
    Label,
}

/// The settings of a route. A key that does not concern its receiver is ignored.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "default.toml is the reference of the keys")]
pub struct RouteConfig {
    pub name: String,
    pub receiver: ReceiverKind,
    pub sensors: String,
    pub kinds: Vec<Kind>,
    pub min_grade: f64,
    #[serde(with = "humantime_serde")]
    pub min_duration: Duration,
    pub hours: Vec<QuietHours>,
    pub time_zone: TimeZone,
    #[serde(with = "humantime_serde")]
    pub remind_every: Duration,
    pub group_levels: usize,
    #[serde(with = "humantime_serde")]
    pub group_wait: Duration,
    #[serde(with = "humantime_serde")]
    pub group_interval: Duration,
    pub max_per_minute: u64,
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
    pub url: String,
    pub ca: String,
    pub username: String,
    pub password: String,
    pub shape: Shape,
    pub template: String,
    pub content_type: String,
    pub token: String,
    pub headers: BTreeMap<String, String>,
    pub topic: String,
    pub home_assistant: String,
    pub from: String,
    pub to: Vec<String>,
}

/// Without secrets.
impl std::fmt::Debug for RouteConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouteConfig")
            .field("name", &self.name)
            .field("receiver", &self.receiver)
            .finish_non_exhaustive()
    }
}

/// Why a route cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct RouteProblem {
    /// The key of the setting.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl RouteProblem {
    pub(crate) fn new(key: &'static str, problem: impl std::fmt::Display) -> Self {
        Self { key, problem: problem.to_string() }
    }
}

/// Returns the settings of a route for a test.
#[cfg(test)]
pub(crate) fn example() -> RouteConfig {
    serde_json::from_value(serde_json::json!({
        "name": "r", "receiver": "webhook", "sensors": "site-1/*", "kinds": ["opened", "ended", "reminder"],
        "min_grade": 0.0, "min_duration": "0s", "hours": [], "time_zone": "UTC", "remind_every": "0s",
        "group_levels": 1, "group_wait": "0s", "group_interval": "0s", "max_per_minute": 10, "timeout": "1s",
        "give_up_after": "1d", "url": "http://127.0.0.1/", "ca": "", "username": "", "password": "",
        "shape": "json", "template": "", "content_type": "application/json", "token": "", "headers": {},
        "topic": "a/{sensor}", "home_assistant": "", "from": "", "to": []
    }))
    .unwrap()
}
