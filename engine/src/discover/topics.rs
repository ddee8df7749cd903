//! Groups topics by their form.

use std::collections::{BTreeMap, BTreeSet};

use thicket_codecs::{TemplateError, TopicTemplate};

/// The form of some topics: a filter that receives them, and a template that names their devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicForm {
    pub(super) filter: String,
    pub(super) template: String,
}

/// Groups topics by form. Returns the topics of each form, sorted by filter.
pub(super) fn forms(topics: &BTreeSet<&str>) -> Vec<(TopicForm, BTreeSet<String>)> {
    let mut by_levels: BTreeMap<usize, Vec<Vec<&str>>> = BTreeMap::new();
    for topic in topics {
        let levels: Vec<&str> = topic.split('/').collect();
        by_levels.entry(levels.len()).or_default().push(levels);
    }
    let mut forms = Vec::new();
    for topics in by_levels.into_values() {
        if are_devices_first(&topics) {
            forms.push(topics);
        } else {
            let mut by_first: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
            for levels in topics {
                by_first.entry(levels[0]).or_default().push(levels);
            }
            forms.extend(by_first.into_values());
        }
    }
    let with_topics = |group: Vec<Vec<&str>>| {
        (form_of(&group), group.iter().map(|levels| levels.join("/")).collect::<BTreeSet<String>>())
    };
    let mut forms: Vec<_> = forms.into_iter().map(with_topics).collect();
    forms.sort_by(|(a, _), (b, _)| a.filter.cmp(&b.filter));
    forms
}

/// Returns whether the first level of the topics names devices: many values, under each of which the
/// same levels follow.
fn are_devices_first(topics: &[Vec<&str>]) -> bool {
    let mut rests: BTreeMap<&str, BTreeSet<&[&str]>> = BTreeMap::new();
    for levels in topics {
        rests.entry(levels[0]).or_default().insert(&levels[1..]);
    }
    let mut rests = rests.into_values();
    let Some(first) = rests.next() else { return false };
    let others: Vec<_> = rests.collect();
    !first.iter().all(|rest| rest.is_empty()) && others.len() >= 2 && others.iter().all(|rest| *rest == first)
}

fn form_of(topics: &[Vec<&str>]) -> TopicForm {
    let count = topics[0].len();
    let varies: Vec<bool> =
        (0..count).map(|level| topics.iter().any(|levels| levels[level] != topics[0][level])).collect();
    let is_captured = |level: usize| varies[level] || !is_plain(topics[0][level]);
    let mut filter = Vec::new();
    let mut template = Vec::new();
    let number_of_names = (0..count).filter(|level| is_captured(*level)).count();
    let mut names = 0;
    for (level, varies) in varies.iter().enumerate() {
        let is_last = level + 1 == count;
        let text = topics[0][level];
        filter.push(if *varies { "+".to_owned() } else { text.to_owned() });
        template.push(if is_captured(level) || (is_last && number_of_names == 0) {
            names += 1;
            if number_of_names > 1 { format!("{{level{names}}}") } else { "{device}".to_owned() }
        } else {
            text.to_owned()
        });
    }
    TopicForm { filter: filter.join("/"), template: template.join("/") }
}

/// Returns whether a template can have a level as it is. One with braces must be captured.
fn is_plain(level: &str) -> bool {
    matches!(TopicTemplate::parse(level), Err(TemplateError::NoCapture { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(topics: &[&str]) -> Vec<(String, String)> {
        let topics = topics.iter().copied().collect();
        forms(&topics).into_iter().map(|(form, _)| (form.filter, form.template)).collect()
    }

    fn pair(filter: &str, template: &str) -> (String, String) {
        (filter.to_owned(), template.to_owned())
    }

    #[test]
    fn levels_that_vary_name_the_device() {
        assert_eq!(
            found(&["home/hall/temp", "home/attic/temp", "plant/press", "plant/saw"]),
            [pair("home/+/temp", "home/{device}/temp"), pair("plant/+", "plant/{device}")]
        );
        assert_eq!(found(&["a/1/x", "a/2/y"]), [pair("a/+/+", "a/{level1}/{level2}")]);
    }

    #[test]
    fn a_single_topic_is_named_by_its_last_level() {
        assert_eq!(found(&["home/kitchen"]), [pair("home/kitchen", "home/{device}")]);
    }

    #[test]
    fn a_level_that_a_template_cannot_have_is_captured() {
        assert_eq!(
            found(&["esp/{{name}}/state", "x/{}/{a b}/temp"]),
            [
                pair("esp/{{name}}/state", "esp/{device}/state"),
                pair("x/{}/{a b}/temp", "x/{level1}/{level2}/temp")
            ]
        );
        assert_eq!(found(&["a{b/x", "a{b/y"]), [pair("a{b/+", "{level1}/{level2}")]);
    }

    #[test]
    fn devices_in_the_first_level_are_one_form() {
        assert_eq!(found(&["a/state", "b/state", "c/state"]), [pair("+/state", "{device}/state")]);
    }

    #[test]
    fn every_filter_receives_its_topics() {
        let topics: BTreeSet<&str> = ["a/b", "a/c", "x/y/z", "x", "é/ü/1", "é/ü/2"].into_iter().collect();
        for (form, topics) in forms(&topics) {
            for topic in topics {
                assert!(thicket_actors::source::filter_receives(&form.filter, &topic), "{topic}");
            }
        }
    }
}
