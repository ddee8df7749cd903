//! From an MQTT topic to the sensor's name.
//!
//! | template | MQTT filter | topic | sensor |
//! |---|---|---|---|
//! | `sensors/{sensor...}` | `sensors/#` | `sensors/site-1/microphone-7` | `site-1/microphone-7` |
//! | `plant/{site}/raw/{device}` | `plant/+/raw/+` | `plant/north/raw/pump-3` | `north/pump-3` |

use std::borrow::Cow;
use std::fmt;

use thicket_schema::text::excerpt;
use thicket_schema::{Reason, SensorName, SensorNameError};

/// Why a text is not a topic template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// No level is captured, so every topic would be the same sensor.
    #[error(
        "the topic template {template} captures no level; write `{{name}}` for one level or end it with `{{name...}}`"
    )]
    NoCapture {
        /// The template.
        template: String,
    },
    /// `{name...}` is not the last level.
    #[error(
        "in the topic template {template} the level {level} takes all remaining levels, so it must be the last"
    )]
    RestNotLast {
        /// The template.
        template: String,
        /// The level.
        level: String,
    },
    /// A level mixes text and braces, has an empty name, or contains a wildcard or a control
    /// character.
    #[error(
        "in the topic template {template} the level {level:?} is neither plain text nor `{{name}}` nor `{{name...}}`; \
         names are letters, digits, `_` and `-`, and MQTT's wildcards + and # are not written in templates"
    )]
    BadLevel {
        /// The template.
        template: String,
        /// The level.
        level: String,
    },
    /// Two levels capture under the same name.
    #[error("the topic template {template} captures {name} twice; give each level a name of its own")]
    DuplicateName {
        /// The template.
        template: String,
        /// The name.
        name: String,
    },
}

/// Why a topic names no sensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// No template has the topic's form.
    #[error("the topic {topic} matches no topic template; add a template for it, or narrow the subscription")]
    NoTemplateMatches {
        /// The beginning of the topic.
        topic: String,
    },
    /// A template matches, but the captured levels are not a valid name.
    #[error(transparent)]
    BadSensorName(#[from] SensorNameError),
}

/// A sensor that no topic template can name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no topic template gives the sensor {sensor}; add one to mqtt.templates that does")]
pub struct NoTopicError {
    /// The sensor.
    pub sensor: SensorName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(String),
    /// `{name}`: any one level.
    One,
    /// `{name...}`: all remaining levels, at least one.
    Rest,
}

/// The form of the topics of one subscription. It says which levels name the sensor.
///
/// A level is plain text or `{name}`, which captures one level. The last level may be `{name...}`,
/// which captures one or more. The captured levels, joined by slashes, are the sensor's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTemplate {
    template: String,
    levels: Vec<Level>,
    /// The names of the levels that are captured, in their order.
    names: Vec<String>,
}

impl TopicTemplate {
    /// Parses a template such as `sensors/{site}/{device}`.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        let own = || template.to_owned();
        let count = template.split('/').count();
        let mut levels = Vec::with_capacity(count);
        let mut names = Vec::new();
        for (index, text) in template.split('/').enumerate() {
            let (level, name) = parse_level(text)
                .ok_or_else(|| TemplateError::BadLevel { template: own(), level: text.to_owned() })?;
            if level == Level::Rest && index + 1 < count {
                return Err(TemplateError::RestNotLast { template: own(), level: text.to_owned() });
            }
            if let Some(name) = name {
                if names.contains(&name) {
                    return Err(TemplateError::DuplicateName { template: own(), name: name.to_owned() });
                }
                names.push(name);
            }
            levels.push(level);
        }
        if names.is_empty() {
            return Err(TemplateError::NoCapture { template: own() });
        }
        let names = names.into_iter().map(str::to_owned).collect();
        Ok(Self { template: own(), levels, names })
    }

    /// Returns the topic of this form from which the template captures the sensor's name. `None` if
    /// the name has too few or too many levels.
    fn topic(&self, sensor: &SensorName) -> Option<String> {
        let mut names = sensor.as_str().split('/');
        let mut levels = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            match level {
                Level::Literal(text) => levels.push(text.as_str()),
                Level::One => levels.push(names.next()?),
                Level::Rest => {
                    levels.push(names.next()?);
                    levels.extend(names.by_ref());
                }
            }
        }
        names.next().is_none().then(|| levels.join("/"))
    }

    /// Returns the captured levels joined by slashes; `None` if the topic has another form.
    fn capture<'t>(&self, topic: &'t str) -> Option<Cow<'t, str>> {
        let mut name: Option<Cow<'t, str>> = None;
        self.each_capture(topic, |part| {
            name = Some(match name.take() {
                None => Cow::Borrowed(part),
                Some(before) => Cow::Owned(format!("{before}/{part}")),
            });
        })?;
        name
    }

    /// Calls a function with each captured part of a topic. `None` if the topic has another form.
    fn each_capture<'t>(&self, topic: &'t str, mut captured: impl FnMut(&'t str)) -> Option<()> {
        // The last part is the rest of the topic, with its slashes.
        let mut parts = topic.splitn(self.levels.len(), '/');
        for level in &self.levels {
            let part = parts.next()?;
            match level {
                Level::Literal(text) if text != part => return None,
                Level::One if part.contains('/') => return None,
                Level::Literal(_) => {}
                Level::One | Level::Rest => captured(part),
            }
        }
        Some(())
    }

    /// Returns the MQTT filter of the topics of this form.
    pub fn filter(&self) -> String {
        let level = |level: &Level| match level {
            Level::Literal(text) => text.clone(),
            Level::One => "+".to_owned(),
            Level::Rest => "#".to_owned(),
        };
        self.levels.iter().map(level).collect::<Vec<_>>().join("/")
    }
}

/// The text of the template.
impl fmt::Display for TopicTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template)
    }
}

/// Parses a level of a template. Returns it with the name that it captures under; `None` if it is
/// malformed.
fn parse_level(text: &str) -> Option<(Level, Option<&str>)> {
    if let Some(inner) = text.strip_prefix('{') {
        let inner = inner.strip_suffix('}')?;
        let (name, level) = match inner.strip_suffix("...") {
            Some(name) => (name, Level::Rest),
            None => (inner, Level::One),
        };
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        return is_name.then_some((level, Some(name)));
    }
    let is_plain = !text.chars().any(|c| c.is_control() || matches!(c, '{' | '}' | '+' | '#'));
    is_plain.then(|| (Level::Literal(text.to_owned()), None))
}

/// Several templates. The first one that has the form of a topic names the sensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicTemplates(pub Vec<TopicTemplate>);

impl TopicTemplates {
    /// Returns the name of the sensor that publishes on a topic.
    pub fn sensor(&self, topic: &str) -> Result<SensorName, TopicError> {
        let name = self
            .0
            .iter()
            .find_map(|template| template.capture(topic))
            .ok_or_else(|| no_template_matches(topic))?;
        Ok(SensorName::new(&name)?)
    }

    /// Returns what the first matching template captures from a topic, by name; `None` if no
    /// template matches.
    pub fn captures<'s>(&'s self, topic: &'s str) -> Option<Vec<(&'s str, &'s str)>> {
        self.0.iter().find_map(|template| {
            let mut captured = Vec::with_capacity(template.names.len());
            let mut names = template.names.iter();
            template.each_capture(topic, |part| {
                captured.extend(names.next().map(|name| (name.as_str(), part)));
            })?;
            Some(captured)
        })
    }

    /// Returns the names under which the templates capture levels.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().flat_map(|template| template.names.iter().map(String::as_str)).collect()
    }

    /// Returns a topic from which [`sensor`](Self::sensor) reads this sensor. It is made by the
    /// first template that can. A topic that an earlier template reads as another sensor does not
    /// count.
    pub fn topic(&self, sensor: &SensorName) -> Result<String, NoTopicError> {
        let topics = self.0.iter().filter_map(|template| template.topic(sensor));
        let mut leading_back = topics.filter(|topic| self.sensor(topic).as_ref() == Ok(sensor));
        leading_back.next().ok_or_else(|| NoTopicError { sensor: sensor.clone() })
    }
}

fn no_template_matches(topic: &str) -> TopicError {
    TopicError::NoTemplateMatches { topic: excerpt(topic) }
}

impl From<&TopicError> for Reason {
    fn from(error: &TopicError) -> Self {
        match error {
            TopicError::NoTemplateMatches { .. } => Self::NoTopicTemplate,
            TopicError::BadSensorName(_) => Self::BadSensorName,
        }
    }
}

#[cfg(test)]
mod tests;
