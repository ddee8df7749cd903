//! Whether topic filters and topic templates fit each other. Pure.

use std::fmt;

use thicket_codecs::Format;

use super::decode::SubscriptionOptions;
use super::filter::{filters_overlap, is_of_form, receives_form};

/// The form of the topics of Sparkplug B.
const SPARKPLUG: &str = "spBv1.0/#";

/// Something about the subscriptions of a broker that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// No message of a subscription can name a sensor.
    NoReading {
        /// The filters of the subscription.
        filters: Vec<String>,
        /// Its templates.
        templates: Vec<String>,
    },
    /// No topic of the filter matches a template, so all its messages are dead letters.
    FilterWithoutTemplate {
        /// The filter.
        filter: String,
    },
    /// No filter of the subscription receives a topic of the template.
    TemplateWithoutFilter {
        /// The template.
        template: String,
        /// A filter that does.
        missing: String,
    },
    /// Some topics of the filter match no template. Messages on them are dead letters.
    WiderThanTemplates {
        /// The filter.
        filter: String,
    },
    /// Two subscriptions receive the same topics.
    Overlap {
        /// A filter of the subscription that gets the messages.
        first: String,
        /// A filter of a later subscription.
        second: String,
    },
}

/// How much a misfit matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The engine refuses to start.
    Refused,
    /// Messages or templates are without use.
    Wrong,
    /// It may be meant so.
    Notable,
}

impl Misfit {
    /// Returns how much it matters.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::NoReading { .. } => Severity::Refused,
            Self::FilterWithoutTemplate { .. } | Self::TemplateWithoutFilter { .. } => Severity::Wrong,
            Self::WiderThanTemplates { .. } | Self::Overlap { .. } => Severity::Notable,
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReading { filters, templates } => write!(
                f,
                "no topic of {} matches a template ({}), so no message can become a reading; change mqtt.topics or mqtt.templates so that they fit",
                filters.join(", "),
                templates.join(", ")
            ),
            Self::FilterWithoutTemplate { filter } => write!(
                f,
                "no topic of the filter {filter} matches a template, so all its messages become dead letters; add a template for it to mqtt.templates, or remove it from mqtt.topics"
            ),
            Self::TemplateWithoutFilter { template, missing } => write!(
                f,
                "no filter in mqtt.topics receives a topic of the template {template}; add {missing} to mqtt.topics, or remove the template"
            ),
            Self::WiderThanTemplates { filter } => write!(
                f,
                "the filter {filter} also receives topics that match no template; their messages become dead letters"
            ),
            Self::Overlap { first, second } => write!(
                f,
                "the filters {first} and {second} of two subscriptions receive the same topics; such messages belong to the subscription of {first}, which comes first"
            ),
        }
    }
}

/// Compares the filters and templates of the subscriptions of a broker.
pub fn misfits(subscriptions: &[SubscriptionOptions]) -> Vec<Misfit> {
    let mut misfits: Vec<Misfit> = subscriptions.iter().flat_map(of_subscription).collect();
    for (index, one) in subscriptions.iter().enumerate() {
        for other in &subscriptions[index + 1..] {
            misfits.extend(overlap(&one.topics, &other.topics));
        }
    }
    misfits
}

fn overlap(one: &[String], other: &[String]) -> Option<Misfit> {
    let pairs = one.iter().flat_map(|first| other.iter().map(move |second| (first, second)));
    let mut overlaps = pairs.filter(|(first, second)| filters_overlap(first, second));
    overlaps.next().map(|(first, second)| Misfit::Overlap { first: first.clone(), second: second.clone() })
}

fn of_subscription(subscription: &SubscriptionOptions) -> Vec<Misfit> {
    // A sensor that is named by other parts of the message needs no template.
    if subscription.sensor.as_ref().is_some_and(|sensor| !sensor.needs_captures()) {
        return Vec::new();
    }
    // Sparkplug names the sensor itself.
    let is_sparkplug = |filter: &String| subscription.format == Format::Auto && is_of_form(filter, SPARKPLUG);
    let filters: Vec<&String> = subscription.topics.iter().filter(|filter| !is_sparkplug(filter)).collect();
    if filters.is_empty() {
        return Vec::new();
    }
    let templates: Vec<(String, String)> = subscription
        .templates
        .0
        .iter()
        .map(|template| (template.to_string(), at_least_one(&template.filter())))
        .collect();
    let matches = |filter: &str| templates.iter().any(|(_, form)| receives_form(filter, form));
    if !filters.iter().any(|filter| matches(filter)) {
        let templates = templates.into_iter().map(|(template, _)| template).collect();
        return vec![Misfit::NoReading { filters: subscription.topics.clone(), templates }];
    }
    let mut misfits = Vec::new();
    for filter in &filters {
        if !matches(filter) {
            misfits.push(Misfit::FilterWithoutTemplate { filter: (*filter).clone() });
        } else if !templates.iter().any(|(_, form)| is_of_form(&at_least_one(filter), form)) {
            misfits.push(Misfit::WiderThanTemplates { filter: (*filter).clone() });
        }
    }
    for ((template, form), parsed) in templates.iter().zip(&subscription.templates.0) {
        if !filters.iter().any(|filter| receives_form(filter, form)) {
            misfits
                .push(Misfit::TemplateWithoutFilter { template: template.clone(), missing: parsed.filter() });
        }
    }
    misfits
}

/// Returns the filter without the topic that ends before its `#`: a template that takes all
/// remaining levels takes at least one.
fn at_least_one(filter: &str) -> String {
    match filter.strip_suffix("/#") {
        Some(above) => format!("{above}/+/#"),
        None => filter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use thicket_codecs::{
        Format, PayloadLimits, PayloadRules, SensorTemplate, TopicTemplate, TopicTemplates,
    };

    use super::*;

    fn subscription(topics: &[&str], templates: &[&str], sensor: Option<&str>) -> SubscriptionOptions {
        let templates = templates.iter().map(|template| TopicTemplate::parse(template).unwrap());
        let templates = TopicTemplates(templates.collect());
        SubscriptionOptions {
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            sensor: sensor.map(|sensor| SensorTemplate::parse(sensor, &templates.names()).unwrap()),
            templates,
            ignore: Vec::new(),
            format: Format::Auto,
            limits: PayloadLimits { max_bytes: 200, max_fields: 64, max_readings: 1_000, max_depth: 8 },
            timestamp_keys: Vec::new(),
            rules: PayloadRules::default(),
            max_future: Duration::from_mins(1),
            max_age: Duration::from_hours(1),
            max_lead: Duration::from_secs(2),
        }
    }

    fn found(topics: &[&str], templates: &[&str]) -> Vec<Misfit> {
        misfits(&[subscription(topics, templates, None)])
    }

    #[test]
    fn filters_and_templates_that_fit_are_no_finding() {
        assert_eq!(found(&["sensors/#"], &["sensors/{sensor...}"]), []);
        assert_eq!(found(&["$share/g/a/+/b"], &["a/{x}/b"]), []);
        assert_eq!(found(&["#"], &["{all...}"]), []);
        assert_eq!(found(&["a/+"], &["{x}/{y}"]), []);
    }

    #[test]
    fn a_subscription_whose_filters_meet_no_template_is_refused() {
        for (topics, templates) in [
            (["plant/#"], ["sensors/{sensor...}"]),
            (["sensors/#"], ["plant/{d...}"]),
            (["a/+"], ["a/{x}/{y}"]),
            (["a"], ["a/{rest...}"]),
        ] {
            let found = found(&topics, &templates);
            assert!(matches!(&found[..], [Misfit::NoReading { .. }]), "{found:?}");
            assert_eq!(found[0].severity(), Severity::Refused);
        }
    }

    #[test]
    fn a_filter_without_a_template_and_a_template_without_a_filter_are_named() {
        assert_eq!(
            found(&["sensors/#", "plant/#"], &["sensors/{s...}", "works/{line}/{d...}"]),
            [
                Misfit::FilterWithoutTemplate { filter: "plant/#".to_owned() },
                Misfit::TemplateWithoutFilter {
                    template: "works/{line}/{d...}".to_owned(),
                    missing: "works/+/#".to_owned()
                },
            ]
        );
        assert_eq!(
            found(&["tele/#"], &["tele/{device}/{kind}"]),
            [Misfit::WiderThanTemplates { filter: "tele/#".to_owned() }]
        );
    }

    #[test]
    fn a_sensor_that_is_not_named_by_its_topic_needs_no_template() {
        let other = subscription(&["up/#"], &["sensors/{s...}"], Some("{deviceInfo.devEui}"));
        assert_eq!(misfits(&[other]), []);
        let captured = subscription(&["up/#"], &["sensors/{s...}"], Some("{s}/{deviceInfo.devEui}"));
        assert!(matches!(misfits(&[captured])[..], [Misfit::NoReading { .. }]));
    }

    #[test]
    fn topics_of_sparkplug_need_no_template() {
        assert_eq!(found(&["spBv1.0/#"], &["sensors/{s...}"]), []);
        assert_eq!(found(&["spBv1.0/group/#", "sensors/#"], &["sensors/{s...}"]), []);
        let found = found(&["spBv1.0/#", "plant/#"], &["sensors/{s...}"]);
        assert!(matches!(&found[..], [Misfit::NoReading { .. }]), "{found:?}");
    }

    #[test]
    fn overlapping_subscriptions_are_named_in_the_order_in_which_they_win() {
        let first = subscription(&["plant/+/raw"], &["plant/{x}/raw"], None);
        let second = subscription(&["other/#", "plant/#"], &["{x...}"], None);
        assert_eq!(
            misfits(&[first, second]),
            [Misfit::Overlap { first: "plant/+/raw".to_owned(), second: "plant/#".to_owned() }]
        );
    }
}
