use thicket_detector::{Cause, Direction};
use thicket_schema::Timestamp;
use thicket_store::postgres::{Anomaly, MessageEvent, NotificationKind, OutgoingMessage};

use super::*;
use crate::message::Origin;

const SHAPES: [Shape; 6] =
    [Shape::Json, Shape::Slack, Shape::Teams, Shape::Ntfy, Shape::Pagerduty, Shape::Alertmanager];
const EXTRAS: Extras<'_> = Extras { token: "a\"token", topic: "topic", far: "9999-01-01T00:00:00Z" };

fn event(sensor: &str, ended: Option<i64>) -> MessageEvent {
    let cause = Cause {
        field: "a<b>\"&".to_owned(),
        share: 1.0,
        actual: f64::NAN,
        expected: 44.0,
        low: 40.0,
        high: 48.0,
        direction: Direction::High,
        is_counter: false,
    };
    let anomaly = Anomaly {
        sensor: sensor.to_owned(),
        started: Timestamp(0),
        ended: ended.map(Timestamp),
        accepted: false,
        peak_at: Timestamp(0),
        peak_score: 1.0,
        peak_grade: 0.5,
        readings: 1,
        causes: vec![cause],
        label: None,
    };
    MessageEvent { anomaly, kinds: vec![NotificationKind::Opened] }
}

fn message(open: i64, events: Vec<MessageEvent>) -> Message {
    let outgoing = OutgoingMessage {
        id: 1,
        site: "site".to_owned(),
        key: "key".to_owned(),
        attempts: 0,
        age: 0.0,
        is_due: true,
        open,
    };
    Message::new(Origin { deployment: "d", route: "r" }, &outgoing, events)
}

fn json(shape: Shape, message: &Message) -> serde_json::Value {
    let body = Template::new("", shape).unwrap().render(message, EXTRAS).unwrap();
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{shape:?}: {error}: {body}"))
}

#[test]
fn every_shape_is_json_whatever_the_names_contain() {
    let names = ["plain", "a\"b\\c", "<!channel> & more", "line\nbreak", "ünïcode 🌲"];
    for shape in SHAPES {
        for name in names {
            json(shape, &message(1, vec![event(name, None)]));
        }
        json(shape, &message(2, names.iter().map(|name| event(name, Some(60_000_000))).collect()));
    }
    let slack = json(Shape::Slack, &message(1, vec![event("<!channel>", None)]));
    assert!(slack["text"].as_str().unwrap().contains("&lt;!channel&gt;"), "{slack}");
}

#[test]
fn a_site_is_resolved_when_none_of_its_anomalies_goes_on() {
    let over = event("s", Some(60_000_000));
    let action = |open| json(Shape::Pagerduty, &message(open, vec![over.clone()]))["event_action"].clone();
    assert_eq!((action(0), action(1)), ("resolve".into(), "trigger".into()));
    let alerts = json(Shape::Alertmanager, &message(0, vec![over.clone(), event("t", None)]));
    assert_eq!(alerts[0]["endsAt"], "1970-01-01T00:01:00Z");
    assert_eq!(alerts[1]["endsAt"], EXTRAS.far);
}

#[test]
fn a_template_of_ones_own_replaces_the_shape_and_its_mistakes_are_named() {
    let own = Template::new("{{ status }}: {{ events[0].sensor | tojson }}", Shape::Slack).unwrap();
    let message = message(1, vec![event("a\"b", None)]);
    assert_eq!(own.render(&message, EXTRAS).unwrap(), "open: \"a\\\"b\"");
    assert!(Template::new("{{ status", Shape::Json).is_err());
    let unknown = Template::new("{{ nothing }}", Shape::Json).unwrap();
    assert!(unknown.render(&message, EXTRAS).is_err());
}
