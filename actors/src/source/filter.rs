//! MQTT topic filters.

/// Returns whether a subscription to a filter receives a topic. The filter may be a shared one:
/// `$share/group/filter`.
pub fn filter_receives(filter: &str, topic: &str) -> bool {
    let filter = plain_filter(filter);
    // MQTT: a wildcard at the first level receives no topic that begins with `$`.
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    // The library compares the first byte of a topic as a character; with a slash before both, the
    // first character of a topic may have more than one byte.
    rumqttc::matches(&format!("/{topic}"), &format!("/{filter}"))
}

/// Returns a filter without the group of a shared subscription.
pub fn plain_filter(filter: &str) -> &str {
    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map_or(filter, |(_, plain)| plain)
}

/// Returns whether there is a topic that both filters receive.
pub(super) fn filters_overlap(one: &str, other: &str) -> bool {
    let (one, other) = (plain_filter(one), plain_filter(other));
    !is_hidden(one, other) && !is_hidden(other, one) && levels_overlap(&levels(one), &levels(other))
}

/// Returns whether a filter receives a topic of a form, which is written like a filter. A form also
/// has the topics that begin with `$`.
pub(super) fn receives_form(filter: &str, form: &str) -> bool {
    let filter = plain_filter(filter);
    !is_hidden(filter, form) && levels_overlap(&levels(filter), &levels(form))
}

/// Returns whether every topic that a filter receives is of a form.
pub(super) fn is_of_form(filter: &str, form: &str) -> bool {
    levels_cover(&levels(form), &levels(plain_filter(filter)))
}

/// Whether the topics of a filter begin with `$`, and so are hidden from a filter that begins with a
/// wildcard.
fn is_hidden(from: &str, topics_of: &str) -> bool {
    from.starts_with(['+', '#']) && topics_of.starts_with('$')
}

/// Returns the levels of a filter. Every topic has at least one.
fn levels(filter: &str) -> Vec<&str> {
    if filter == "#" { vec!["+", "#"] } else { filter.split('/').collect() }
}

/// `#` stands for any number of levels, also for none.
fn levels_overlap(one: &[&str], other: &[&str]) -> bool {
    match (one, other) {
        (["#"], _) | (_, ["#"]) | ([], []) => true,
        ([a, one @ ..], [b, other @ ..]) => (*a == "+" || *b == "+" || a == b) && levels_overlap(one, other),
        ([], _) | (_, []) => false,
    }
}

fn levels_cover(wide: &[&str], narrow: &[&str]) -> bool {
    match (wide, narrow) {
        (["#"], _) | ([], []) => true,
        (_, ["#"] | []) | ([], _) => false,
        ([a, wide @ ..], [b, narrow @ ..]) => (*a == "+" || a == b) && levels_cover(wide, narrow),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_receive_topics_as_mqtt_says() {
        assert!(filter_receives("sensors/#", "sensors/a/b") && filter_receives("sensors/#", "sensors"));
        assert!(filter_receives("$share/g/sensors/+", "sensors/a"));
        assert!(!filter_receives("$share/g/sensors/+", "sensors/a/b"));
        assert!(!filter_receives("#", "$SYS/broker") && filter_receives("$SYS/#", "$SYS/broker"));
        assert!(filter_receives("+/ä", "ö/ä"));
    }

    #[test]
    fn filters_overlap_if_a_topic_is_of_both() {
        assert!(filters_overlap("plant/#", "plant/+/raw") && filters_overlap("+/a", "b/+"));
        assert!(filters_overlap("plant/#", "plant") && filters_overlap("$share/g/a/+", "a/b"));
        assert!(!filters_overlap("plant/#", "sensors/#") && !filters_overlap("a/+", "a/+/+"));
        assert!(!filters_overlap("#", "$SYS/#") && !filters_overlap("$SYS/#", "+/broker"));
    }

    #[test]
    fn a_filter_is_of_a_wider_form() {
        assert!(is_of_form("a/#", "#") && is_of_form("a/+/c", "a/+/#") && is_of_form("#", "+/#"));
        assert!(!is_of_form("a/#", "a/+") && !is_of_form("a/+", "a/b") && !is_of_form("a/#", "a/+/#"));
    }

    #[test]
    fn a_form_has_the_topics_that_wildcards_do_not_receive() {
        assert!(receives_form("$SYS/#", "+/#") && is_of_form("$SYS/broker", "+/#"));
        assert!(!receives_form("#", "$SYS/+"));
    }

    /// Filters of up to four levels, out of few names.
    fn filter() -> impl Strategy<Value = String> {
        let level = prop_oneof![Just("a"), Just("b"), Just("$c"), Just("+"), Just("")];
        (prop::collection::vec(level, 0..4), any::<bool>())
            .prop_map(|(mut levels, rest)| {
                if rest {
                    levels.push("#");
                }
                levels.join("/")
            })
            .prop_filter("no filter is empty", |filter| !filter.is_empty())
    }

    /// All topics of up to five levels, out of the same names and one more. MQTT has no empty topic,
    /// but the filter `/#` receives it.
    fn topics() -> Vec<String> {
        let mut topics: Vec<String> = ["a", "b", "$c", "d", ""].map(str::to_owned).to_vec();
        let mut longest = topics.clone();
        for _ in 1..5 {
            let longer = longest
                .iter()
                .flat_map(|topic| ["a", "b", "$c", "d", ""].map(|level| format!("{topic}/{level}")));
            longest = longer.collect();
            topics.extend_from_slice(&longest);
        }
        topics
    }

    #[test]
    fn overlaps_are_what_the_topics_say() {
        let topics = topics();
        let has_form = |topic: &str, form: &str| rumqttc::matches(&format!("/{topic}"), &format!("/{form}"));
        let mut runner = proptest::test_runner::TestRunner::default();
        let run = runner.run(&(filter(), filter()), |(one, other)| {
            let of_one: Vec<&String> = topics.iter().filter(|topic| filter_receives(&one, topic)).collect();
            let any = |is_of_other: &dyn Fn(&str) -> bool| of_one.iter().any(|topic| is_of_other(topic));
            let all = |is_of_other: &dyn Fn(&str) -> bool| of_one.iter().all(|topic| is_of_other(topic));
            let words = format!("{one} and {other}");
            prop_assert_eq!(
                filters_overlap(&one, &other),
                any(&|topic| filter_receives(&other, topic)),
                "{}",
                words
            );
            prop_assert_eq!(receives_form(&one, &other), any(&|topic| has_form(topic, &other)), "{}", words);
            prop_assert_eq!(is_of_form(&one, &other), all(&|topic| has_form(topic, &other)), "{}", words);
            Ok(())
        });
        run.unwrap();
    }
}
