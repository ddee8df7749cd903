//! From the topic and the payload of a message to the sensor's name, by a template.
//!
//! | part | stands for |
//! |---|---|
//! | `{topic.1}` | a level of the topic; the first level is `{topic.0}` |
//! | `{device}` | what a topic template captures under this name |
//! | `{deviceInfo.devEui}` | the member of the payload at this path, escaped as [`name`](crate::name) says |
//! | `{channel?}` | the same, or nothing: if the message lacks it, it costs the slash beside it |
//! | other text | itself |

use std::fmt;

use crate::name::NameText;

/// Why a text is not a sensor template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SensorTemplateError {
    /// Every message would be of the same sensor.
    #[error("the template {0:?} has no part in braces, so all messages would be of one sensor")]
    NoPart(String),
    /// A brace has no partner, or a part is empty.
    #[error("the template {0:?} has a brace without a partner, or a part without a name")]
    Braces(String),
}

/// The part of a sensor template that a message lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has no {part}, which the template {template} of the sensor's name needs")]
pub struct MissingPart {
    template: String,
    part: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    value: Value,
    /// Whether a message may lack it.
    is_optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    /// A level of the topic, counted from 0.
    Level(usize),
    /// The index of a name that the topic templates capture.
    Captured(String),
    /// The index of a member in the list of members.
    Member(usize),
}

/// How the sensor's name is made of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensorTemplate {
    template: String,
    parts: Vec<Part>,
    members: Vec<String>,
}

/// The parts of a message from which a name is made.
#[derive(Clone, Copy, Debug)]
pub struct NameParts<'m> {
    /// The topic.
    pub topic: &'m str,
    /// What the topic template captures, by name; `None` if no template matches.
    pub captured: Option<&'m [(&'m str, &'m str)]>,
    /// The texts of [`SensorTemplate::members`], in their order.
    pub members: &'m [Option<Box<str>>],
}

impl SensorTemplate {
    /// Parses a template. `captures` are the names that the topic templates capture; every other
    /// name in braces is the path of a member of the payload.
    pub fn parse(template: &str, captures: &[&str]) -> Result<Self, SensorTemplateError> {
        let braces = || SensorTemplateError::Braces(template.to_owned());
        let mut parts = Vec::new();
        let mut members = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(braces)?;
            let path = name.strip_suffix('?').unwrap_or(name);
            if text.contains('}') || path.trim().is_empty() || path.contains('{') {
                return Err(braces());
            }
            if !text.is_empty() {
                parts.push(Part::text(text));
            }
            let level = path.strip_prefix("topic.").and_then(|level| level.parse().ok());
            let value = match level {
                Some(level) => Value::Level(level),
                None if captures.contains(&path) => Value::Captured(path.to_owned()),
                None => {
                    let known = members.iter().position(|member| member == path);
                    Value::Member(known.unwrap_or_else(|| {
                        members.push(path.to_owned());
                        members.len() - 1
                    }))
                }
            };
            parts.push(Part { value, is_optional: path != name });
            rest = after;
        }
        if rest.contains('}') {
            return Err(braces());
        }
        if parts.iter().all(|part| matches!(part.value, Value::Text(_))) {
            return Err(SensorTemplateError::NoPart(template.to_owned()));
        }
        if !rest.is_empty() {
            parts.push(Part::text(rest));
        }
        Ok(Self { template: template.to_owned(), parts, members })
    }

    /// Returns the paths of the members that the name has.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// Returns whether the name has a level that a topic template captures.
    pub fn needs_captures(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.value, Value::Captured(_)))
    }

    /// Returns the name that the template makes of a message. It may not be a valid name of a
    /// sensor.
    ///
    /// # Errors
    /// Returns the first part that the message lacks, unless it is optional.
    pub fn name(&self, message: NameParts<'_>) -> Result<NameText, MissingPart> {
        let mut name = NameText::default();
        for part in &self.parts {
            let text = match &part.value {
                Value::Text(text) => Some(text.as_str()),
                Value::Level(level) => message.topic.split('/').nth(*level).filter(|level| !level.is_empty()),
                Value::Captured(wanted) => {
                    let captured = message.captured.unwrap_or_default();
                    captured.iter().find(|(name, _)| name == wanted).map(|(_, text)| *text)
                }
                Value::Member(index) => message.members.get(*index).and_then(Option::as_deref),
            };
            match (text, &part.value) {
                (Some(text), Value::Member(_)) => name.push_of_payload(text),
                (Some(text), _) => name.push(text),
                (None, _) if part.is_optional => name.push_absent(),
                (None, value) => {
                    return Err(MissingPart { template: self.template.clone(), part: self.describe(value) });
                }
            }
        }
        Ok(name)
    }

    fn describe(&self, value: &Value) -> String {
        match value {
            Value::Text(text) => text.clone(),
            Value::Level(level) => format!("level {level} in its topic"),
            Value::Captured(name) => format!("topic that a topic template with {{{name}}} matches"),
            Value::Member(index) => format!("member {} with a text or a number", self.members[*index]),
        }
    }
}

impl Part {
    fn text(text: &str) -> Self {
        Self { value: Value::Text(text.to_owned()), is_optional: false }
    }
}

/// The text of the template.
impl fmt::Display for SensorTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, members: &[Option<&str>]) -> Result<String, String> {
        let template = SensorTemplate::parse(template, &["site"]).unwrap();
        let members: Vec<Option<Box<str>>> = members.iter().map(|text| text.map(Box::from)).collect();
        let captured = [("site", "north")];
        let message =
            NameParts { topic: "application/7/event/up", captured: Some(&captured), members: &members };
        template.name(message).map(NameText::finish).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_is_made_of_levels_captures_members_and_text() {
        assert_eq!(name("{topic.1}/{deviceInfo.devEui}", &[Some("a840")]).unwrap(), "7/a840");
        assert_eq!(name("{site}/node-{id}", &[Some("3")]).unwrap(), "north/node-3");
        assert_eq!(name("{id}/{id}-{model}", &[Some("3"), Some("x")]).unwrap(), "3/3-x");
    }

    #[test]
    fn the_part_that_a_message_lacks_is_named() {
        let error = name("{topic.1}/{deviceInfo.devEui}", &[None]).unwrap_err();
        assert!(error.contains("member deviceInfo.devEui"), "{error}");
        let error = name("{topic.9}", &[]).unwrap_err();
        assert!(error.contains("level 9"), "{error}");
    }

    #[test]
    fn an_optional_part_may_be_absent() {
        let template = "{model}/{channel?}/{id}";
        assert_eq!(name(template, &[Some("x"), Some("A"), Some("3")]).unwrap(), "x/A/3");
        assert_eq!(name(template, &[Some("x"), None, Some("3")]).unwrap(), "x/3");
        assert_eq!(name("{site?}/{topic.9?}/{id?}", &[None]).unwrap(), "north");
        assert_eq!(name("{topic.9?}/{id}", &[Some("3")]).unwrap(), "3");
        assert_eq!(name("{id?}", &[None]).unwrap(), "");
        let error = name(template, &[Some("x"), Some("A"), None]).unwrap_err();
        assert!(error.contains("member id"), "{error}");
    }

    #[test]
    fn a_template_without_a_part_or_with_odd_braces_is_refused() {
        for template in ["", "all", "{a", "a}", "{}", "{ }", "{?}", "{a}{", "{a{b}}"] {
            assert!(SensorTemplate::parse(template, &[]).is_err(), "{template}");
        }
    }
}
