//! Groups messages by the form of their topics, and by the member that tells their devices apart.

use std::collections::BTreeSet;

use thicket_actors::source::filter_receives;

use super::capture::Message;
use super::members::{DeviceMember, Members, Suggestions};
use super::topics::forms;

/// Messages that one subscription can read.
#[derive(Debug)]
pub(super) struct Group<'m> {
    /// The topic filters: one, or each topic if a filter would also receive topics of other groups.
    pub(super) filters: Vec<String>,
    /// The template of the topics.
    pub(super) template: String,
    pub(super) topics: BTreeSet<String>,
    pub(super) messages: Vec<&'m Message>,
    pub(super) suggestions: Suggestions,
}

/// Groups messages. Of the topics of one form, those with a member that tells their devices apart
/// come before the others, and are a group of their own.
pub(super) fn groups<'m>(messages: &[&'m Message]) -> Vec<Group<'m>> {
    let topics: BTreeSet<&str> = messages.iter().map(|message| message.topic.as_str()).collect();
    let mut groups = Vec::new();
    for (form, topics) in forms(&topics) {
        let of_topics = |topics: &BTreeSet<String>| -> Vec<&'m Message> {
            messages.iter().filter(|message| topics.contains(&message.topic)).copied().collect()
        };
        let messages = of_topics(&topics);
        let suggestions = suggestions(&messages);
        match &suggestions.device {
            Some(device) if device.topics.len() < topics.len() => {
                let others: BTreeSet<String> = topics.difference(&device.topics).cloned().collect();
                let mut of_device = self::groups(&of_topics(&device.topics));
                for group in &mut of_device {
                    let receives = |other| group.filters.iter().any(|filter| filter_receives(filter, other));
                    if others.iter().any(|other| receives(other)) {
                        group.filters = group.topics.iter().cloned().collect();
                    }
                }
                groups.extend(of_device);
                groups.extend(self::groups(&of_topics(&others)));
            }
            _ => {
                let filters = vec![form.filter];
                let of_array = suggestions.array.as_ref().and_then(|array| array.suggestions.device.as_ref());
                let devices = [suggestions.device.as_ref(), of_array];
                let template = without_name_of(devices.into_iter().flatten(), form.template);
                groups.push(Group { filters, template, topics, messages, suggestions });
            }
        }
    }
    groups
}

/// Returns a template that captures no level under the name of a member that tells devices apart: in
/// `mqtt.sensor`, the name would stand for the level.
fn without_name_of<'d>(mut devices: impl Iterator<Item = &'d DeviceMember>, template: String) -> String {
    if devices.any(|device| device.path == "device") {
        template.replace("{device}", "{level1}")
    } else {
        template
    }
}

fn suggestions(messages: &[&Message]) -> Suggestions {
    let mut members = Members::default();
    for message in messages {
        members.add(&message.topic, &message.payload);
    }
    members.suggestions()
}
