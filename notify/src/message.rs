//! What a receiver is told: one message about the anomalies of one site.

use serde::Serialize;
use thicket_schema::Timestamp;
use thicket_store::postgres::{Anomaly, MessageEvent, NotificationKind, OutgoingMessage, serialize_causes};

use crate::config::ReceiverKind;
use crate::{keys, words};

/// Anomalies that the text of a message names at most. It counts the others.
const NAMED: usize = 10;
/// Characters of a line of the text.
const LINE: usize = 300;
/// Characters of the title. `PagerDuty` takes 1,024.
const TITLE: usize = 200;
/// Bytes of the text in Slack's escapes. With the title, Slack takes 4,000 characters, and ntfy
/// takes 4,096 bytes.
const TEXT: usize = 2_800;
/// Causes that a line names.
const CAUSES: usize = 2;
const OPENED: &str = NotificationKind::Opened.name();
const LABEL: &str = NotificationKind::Label.name();
const OPEN: &str = "open";
const OVER: &str = "over";

/// A message, as templates see it. Every text can be sent to a receiver; none is a secret.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// Name of the deployment.
    pub deployment: String,
    /// Name of the route.
    pub route: String,
    /// The site of the sensors.
    pub site: String,
    /// By which a repeat of the message is recognised.
    pub key: String,
    /// By which messages about the site are recognised.
    pub site_key: String,
    /// `open` if any announced anomaly of the site goes on, else `over`.
    pub status: &'static str,
    /// Number of announced anomalies of the site that go on.
    pub open: i64,
    /// Whether this is only a test.
    pub is_test: bool,
    /// One line.
    pub title: String,
    /// A line for each anomaly.
    pub text: String,
    /// Number of anomalies.
    pub total: usize,
    /// The anomalies, those of each sensor in order.
    pub events: Vec<Event>,
}

/// An anomaly of a message, in the state that it has when the message is sent.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// By which the anomaly is recognised.
    pub key: String,
    /// Name of the sensor.
    pub sensor: String,
    /// What the message says of it, in order: `opened`, `reminder`, `label`, `ended`.
    pub kinds: Vec<&'static str>,
    /// `open` or `over`.
    pub status: &'static str,
    /// Time of the first anomalous reading.
    pub started: Timestamp,
    /// Time of the last anomalous reading; `None` while it goes on.
    pub ended: Option<Timestamp>,
    /// Whether it ended because it has become the new normal.
    pub accepted: bool,
    /// The highest grade.
    pub grade: f64,
    /// Time of the rarest reading.
    pub peak_at: Timestamp,
    /// Number of anomalous readings.
    pub readings: i32,
    /// The fields with the greatest parts, and what was expected of them.
    pub why: String,
    /// Each field's part.
    #[serde(serialize_with = "serialize_causes")]
    pub causes: Vec<thicket_detector::Cause>,
    /// The label of a person; `None` without one.
    pub label: Option<&'static str>,
    /// The remark of that person.
    pub note: String,
}

/// Where a message belongs.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Name of the deployment.
    pub deployment: &'a str,
    /// Name of the route.
    pub route: &'a str,
}

impl Message {
    /// Creates the message of stored deliveries.
    pub fn new(origin: Origin<'_>, outgoing: &OutgoingMessage, events: Vec<MessageEvent>) -> Self {
        let OutgoingMessage { site, key, open, .. } = outgoing;
        let events = events.into_iter().map(|event| Event::new(origin.deployment, event)).collect();
        Self::of(origin, site, key, *open, events)
    }

    /// Creates a message that tests a route. It looks like one about an anomaly that is over. A
    /// broker is also told that it goes on before, so that a subscriber sees the retained message
    /// come and go.
    pub fn test(origin: Origin<'_>, over: Anomaly, receiver: ReceiverKind) -> Self {
        let Origin { deployment, route } = origin;
        let (site, key) = (over.sensor.clone(), format!("{deployment}/test/{route}/{}", over.started));
        let kinds = vec![NotificationKind::Opened, NotificationKind::Ended];
        let event = |anomaly| Event::new(deployment, MessageEvent { anomaly, kinds: kinds.clone() });
        let open = (receiver == ReceiverKind::Mqtt).then(|| event(Anomaly { ended: None, ..over.clone() }));
        let mut message = Self::of(origin, &site, &key, 0, vec![event(over)]);
        message.is_test = true;
        message.title = cut(&format!("Test of the route {route}: {}", message.title), TITLE);
        message.events.splice(0..0, open);
        message
    }

    /// Creates a message with the present states of anomalies, which a broker retains.
    pub(crate) fn of_states(origin: Origin<'_>, states: Vec<MessageEvent>) -> Self {
        let events = states.into_iter().map(|event| Event::new(origin.deployment, event)).collect();
        Self::of(origin, "", "", 0, events)
    }

    /// Returns the message without the events that are labels of anomalies that are over; `None` if
    /// there are none. To a receiver that shows one state of each sensor, such a label would be the
    /// end of a later anomaly of the sensor. Title and texts stay.
    pub(crate) fn without_late_labels(&self) -> Option<Self> {
        let is_late_label =
            |event: &Event| event.ended.is_some() && event.kinds.iter().all(|&kind| kind == LABEL);
        self.events.iter().any(is_late_label).then(|| {
            let mut message = self.clone();
            message.events.retain(|event| !is_late_label(event));
            message
        })
    }

    /// Returns the message as if its anomalies went on, if it announces one that is over already.
    /// A receiver that pages only for what goes on is told this first. The key is another one, so
    /// that no receiver takes the end for a repeat of it.
    pub(crate) fn as_begin(&self) -> Option<Self> {
        let announces = self.events.iter().any(|event| event.kinds.contains(&OPENED));
        let is_late = announces && self.is_over() && !self.is_test;
        is_late.then(|| Self { status: OPEN, key: format!("{}/begin", self.key), ..self.clone() })
    }

    /// Returns whether no announced anomaly of the site goes on.
    pub(crate) fn is_over(&self) -> bool {
        self.status == OVER
    }

    fn of(origin: Origin<'_>, site: &str, key: &str, open: i64, events: Vec<Event>) -> Self {
        let is_open = open > 0 || events.iter().any(|event| event.ended.is_none());
        Self {
            deployment: origin.deployment.to_owned(),
            route: origin.route.to_owned(),
            site: site.to_owned(),
            key: key.to_owned(),
            site_key: keys::of_site(origin.deployment, site),
            status: if is_open { OPEN } else { OVER },
            open,
            is_test: false,
            title: cut(&title(site, open, &events), TITLE),
            text: text(&events),
            total: events.len(),
            events,
        }
    }
}

fn title(site: &str, open: i64, events: &[Event]) -> String {
    match events {
        [event] => event.headline(),
        events if open == 0 => format!("{} anomalies at {site}, all over", events.len()),
        events => format!("{} anomalies at {site}, {open} open", events.len()),
    }
}

/// Returns a line for each of the first anomalies, as many as there is room for.
fn text(events: &[Event]) -> String {
    let (mut lines, mut room) = (Vec::new(), TEXT);
    for event in events.iter().take(NAMED) {
        let line = cut(&event.line(), LINE);
        let Some(left) = room.checked_sub(escaped_bytes(&line)) else { break };
        room = left;
        lines.push(line);
    }
    if lines.len() < events.len() {
        lines.push(format!("and {} more", events.len() - lines.len()));
    }
    lines.join("\n")
}

/// Returns the bytes that a line takes in the template for Slack.
fn escaped_bytes(line: &str) -> usize {
    let bytes = |character: char| match character {
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        '@' | ':' | ']' => 1 + '\u{200b}'.len_utf8(),
        other => other.len_utf8(),
    };
    line.chars().map(bytes).sum::<usize>() + 1
}

impl Event {
    fn new(deployment: &str, MessageEvent { anomaly, kinds }: MessageEvent) -> Self {
        let causes = anomaly.causes.iter().filter(|cause| cause.share > 0.0).take(CAUSES);
        let why = causes.map(words::cause).collect::<Vec<_>>().join("; ");
        let (label, note) = match anomaly.label {
            Some(label) => (Some(label.label.name()), label.note),
            None => (None, String::new()),
        };
        Self {
            key: keys::of_anomaly(deployment, &anomaly.sensor, anomaly.started),
            kinds: kinds.into_iter().map(NotificationKind::name).collect(),
            status: if anomaly.ended.is_some() { OVER } else { OPEN },
            started: anomaly.started,
            ended: anomaly.ended,
            accepted: anomaly.accepted,
            grade: anomaly.peak_grade,
            peak_at: anomaly.peak_at,
            readings: anomaly.readings,
            why,
            causes: anomaly.causes,
            label,
            note,
            sensor: anomaly.sensor,
        }
    }

    fn headline(&self) -> String {
        let sensor = &self.sensor;
        match (self.kinds.last().copied(), self.ended, self.label) {
            (Some("label"), _, Some(label)) => format!("Labelled {label}: anomaly at {sensor}"),
            (_, Some(_), _) => format!("Over: anomaly at {sensor}"),
            (Some("reminder"), ..) => format!("Goes on: anomaly at {sensor}"),
            _ => format!("Anomaly at {sensor}"),
        }
    }

    fn line(&self) -> String {
        let (sensor, started) = (&self.sensor, words::time(self.started));
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why) };
        let time = match self.ended {
            Some(ended) => {
                let lasted = words::duration((ended.0 - self.started.0) as f64 / 1e6);
                let ended = words::time(ended);
                let accepted = if self.accepted { ", when it became normal" } else { "" };
                format!("from {started} to {ended} ({lasted}){accepted}")
            }
            None => format!("since {started}"),
        };
        let label = self.label.map_or_else(String::new, |label| format!(", labelled {label}"));
        format!("{sensor}{why} ({time}, grade {:.3}{label})", self.grade)
    }
}

/// Cuts a line that is too long. Replaces line breaks and characters that are invisible or change
/// the direction of the text: names and remarks come from outside.
fn cut(line: &str, longest: usize) -> String {
    let flat = line.chars().map(|character| if is_unsafe(character) { ' ' } else { character });
    if line.chars().count() <= longest {
        return flat.collect();
    }
    flat.take(longest - 1).chain(['…']).collect()
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
