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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_receive_topics_as_mqtt_says() {
        assert!(filter_receives("sensors/#", "sensors/a/b") && filter_receives("sensors/#", "sensors"));
        assert!(filter_receives("$share/g/sensors/+", "sensors/a"));
        assert!(!filter_receives("$share/g/sensors/+", "sensors/a/b"));
        assert!(!filter_receives("#", "$SYS/broker") && filter_receives("$SYS/#", "$SYS/broker"));
        assert!(filter_receives("+/ä", "ö/ä"));
    }
}
