//! From the topic and the payload of a message to the sensor's name, by a template.
//!
//! | part | stands for |
//! |---|---|
//! | `{topic.1}` | a level of the topic; the first level is `{topic.0}` |
//! | `{device}` | what a topic template captures under this name |
//! | `{deviceInfo.devEui}` | the member of the payload at this path, escaped as [`name`](crate::name) says |
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
enum Part {
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
            if text.contains('}') || name.trim().is_empty() || name.contains('{') {
                return Err(braces());
            }
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            let level = name.strip_prefix("topic.").and_then(|level| level.parse().ok());
            parts.push(match level {
                Some(level) => Part::Level(level),
                None if captures.contains(&name) => Part::Captured(name.to_owned()),
                None => {
                    let known = members.iter().position(|member| member == name);
                    Part::Member(known.unwrap_or_else(|| {
                        members.push(name.to_owned());
                        members.len() - 1
                    }))
                }
            });
            rest = after;
        }
        if rest.contains('}') {
            return Err(braces());
        }
        if parts.iter().all(|part| matches!(part, Part::Text(_))) {
            return Err(SensorTemplateError::NoPart(template.to_owned()));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { template: template.to_owned(), parts, members })
    }

    /// Returns the paths of the members that the name needs.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// Returns whether the name needs a topic template to match.
    pub fn needs_captures(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Captured(_)))
    }

    /// Returns the name that the template makes of a message. It may not be a valid name of a
    /// sensor.
    ///
    /// # Errors
    /// Returns the first part that the message lacks.
    pub fn name(&self, message: NameParts<'_>) -> Result<NameText, MissingPart> {
        let mut name = NameText::default();
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Level(level) => message.topic.split('/').nth(*level).filter(|level| !level.is_empty()),
                Part::Captured(wanted) => {
                    let captured = message.captured.unwrap_or_default();
                    captured.iter().find(|(name, _)| name == wanted).map(|(_, text)| *text)
                }
                Part::Member(index) => message.members.get(*index).and_then(Option::as_deref),
            };
            let missing = || MissingPart { template: self.template.clone(), part: self.describe(part) };
            let text = text.ok_or_else(missing)?;
            match part {
                Part::Member(_) => name.push_of_payload(text),
                _ => name.push(text),
            }
        }
        Ok(name)
    }

    fn describe(&self, part: &Part) -> String {
        match part {
            Part::Text(text) => text.clone(),
            Part::Level(level) => format!("level {level} in its topic"),
            Part::Captured(name) => format!("topic that a topic template with {{{name}}} matches"),
            Part::Member(index) => format!("member {} with a text or a number", self.members[*index]),
        }
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
    fn a_template_without_a_part_or_with_odd_braces_is_refused() {
        for template in ["", "all", "{a", "a}", "{}", "{ }", "{a}{", "{a{b}}"] {
            assert!(SensorTemplate::parse(template, &[]).is_err(), "{template}");
        }
    }
}
