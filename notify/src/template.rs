//! The body of a webhook, from a message: a shape that ships, or a template of the user's own.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::config::Shape;
use crate::message::{Event, Message};

/// The name of a template of the user's own. Unlike those that ship, it chooses how it escapes.
const OWN: &str = "template";

/// What a template gets beside the message.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "it has a token")]
pub struct Extras<'a> {
    /// The token of the route.
    pub token: &'a str,
    /// The last part of the URL.
    pub topic: &'a str,
    /// A time in the far future, in RFC 3339.
    pub far: &'a str,
}

/// The variables of a template.
#[derive(Serialize)]
struct Values<'a> {
    message: &'a Message,
    title: &'a str,
    text: &'a str,
    status: &'a str,
    open: i64,
    events: &'a [Event],
    token: &'a str,
    topic: &'a str,
    far: &'a str,
}

/// A template that was parsed.
#[derive(Clone, Debug)]
pub struct Template {
    environment: Environment<'static>,
    name: &'static str,
}

impl Shape {
    /// Returns the name and the text of its template.
    const fn template(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("json.json", "{{ message }}"),
            Self::Slack => ("slack.json", include_str!("templates/slack.json")),
            Self::Teams => ("teams.json", include_str!("templates/teams.json")),
            Self::Ntfy => ("ntfy.json", include_str!("templates/ntfy.json")),
            Self::Pagerduty => ("pagerduty.json", include_str!("templates/pagerduty.json")),
            Self::Alertmanager => ("alertmanager.json", include_str!("templates/alertmanager.json")),
        }
    }
}

impl Template {
    /// Parses the user's own template, or that of a shape if it is empty. Every value in a template
    /// of a shape becomes JSON.
    pub fn new(own: &str, shape: Shape) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let (name, text) = if own.is_empty() { shape.template() } else { (OWN, own) };
        environment.add_template_owned(name, text.to_owned())?;
        Ok(Self { environment, name })
    }

    /// Returns the body.
    pub fn render(&self, message: &Message, extras: Extras<'_>) -> Result<String, minijinja::Error> {
        let Extras { token, topic, far } = extras;
        let Message { title, text, status, open, events, .. } = message;
        let values = Values { message, title, text, status, open: *open, events, token, topic, far };
        self.environment.get_template(self.name)?.render(Serde(&values))
    }
}

#[cfg(test)]
mod tests;
