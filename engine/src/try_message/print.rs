//! The steps of a message for people.

use super::steps::{Apart, ReadingStep, Steps, SubscriptionStep};
use crate::format::count;
use crate::terminal::{on_one_line, outln};

/// Prints the steps.
pub(super) fn print(steps: &Steps) {
    outln!(
        "message       topic {}, {}",
        on_one_line(&steps.topic),
        count(steps.payload_bytes as u64, "byte")
    );
    let Some(subscription) = &steps.subscription else {
        outln!("subscription  none: the broker would not send this message to the engine");
        outln!("              mqtt.topics has {}", steps.filters.join(", "));
        return;
    };
    let preset = subscription.preset.as_ref().map(|preset| format!(", preset {preset}"));
    outln!(
        "subscription  {} by the filter {}{}",
        subscription.place,
        subscription.filter,
        preset.unwrap_or_default()
    );
    if let Some(reason) = steps.ignored {
        outln!("ignored       {reason}; it is counted, and no dead letter");
        return;
    }
    outln!("topic         {}", captures(subscription));
    if let Some(template) = &subscription.sensor {
        outln!("sensor        by the template {template}");
    }
    let compression = steps.compression.map(|name| format!(", compressed by {name}")).unwrap_or_default();
    outln!("format        {}{compression}", steps.format.as_deref().unwrap_or("not recognised"));
    for reading in &steps.readings {
        print_reading(reading);
    }
    if let Some(Apart { member, sensor, templates }) = &steps.apart {
        outln!(
            "note          several elements of the array have the same fields and one sensor, and differ in"
        );
        outln!("              {}; if it names what each measures, set", on_one_line(member));
        if let Some(templates) = templates {
            outln!("              templates = {}", toml::Value::from(templates.clone()));
        }
        outln!("              sensor = {}", toml::Value::from(sensor.as_str()));
    }
    if !steps.left_out.is_empty() {
        outln!("left out");
        for member in &steps.left_out {
            outln!("  {} {}", on_one_line(&member.path), on_one_line(&member.reason));
        }
    }
}

fn captures(subscription: &SubscriptionStep) -> String {
    match &subscription.captured {
        _ if subscription.is_sparkplug => "Sparkplug B, without a template".to_owned(),
        Some(captured) => {
            let pairs = captured.iter().map(|(name, text)| format!("{name} = {}", on_one_line(text)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        None => format!("matches no template of {}", subscription.templates.join(", ")),
    }
}

fn print_reading(reading: &ReadingStep) {
    let ReadingStep { sensor, time, is_arrival_time, is_set_back, values, dead_letter, .. } = reading;
    if let Some((reason, detail)) = dead_letter {
        outln!("dead letter   {reason}: {}", on_one_line(detail));
        return;
    }
    let (sensor, time) = (sensor.as_deref().unwrap_or_default(), time.as_deref().unwrap_or_default());
    let origin = match (is_arrival_time, is_set_back) {
        (true, _) => " (its arrival: it has no usable time)",
        (_, true) => " (set back: its time is further ahead of its arrival than mqtt.max_lead)",
        _ => "",
    };
    outln!("reading       {sensor} at {time}{origin}");
    let shown = |name: &String| on_one_line(name);
    let width = values.keys().map(|name| shown(name).chars().count()).max().unwrap_or(0);
    for (name, value) in values {
        let reason = reading.not_scored.get(name);
        let name = shown(name);
        match reason.map(|reason| on_one_line(reason)) {
            Some(reason) => outln!("  {name:<width$}  {value}  (stored, not scored: {reason})"),
            None => outln!("  {name:<width$}  {value}"),
        }
    }
}
