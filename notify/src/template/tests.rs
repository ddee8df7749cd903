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
        repeated: 0,
        away: 0,
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
        refusals: 0,
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

/// Names that try to leave the place of a name: mentions, links, images, markup, JSON, templates,
/// headers, and characters that are invisible or change the direction of the text.
const HOSTILE: [&str; 12] = [
    "<!channel> <@U012AB3CD> <https://evil.example|click>",
    "@channel @all @here",
    "[click](https://evil.example) ![](http://evil.example/x.png)",
    "[click][1] www.evil.example",
    "*bold* _it_ ~no~ `code` ```block``` > quote",
    "<at>everyone</at><b>x</b><script>alert(1)</script>",
    "\"}, {\"text\": \"x\"}]}",
    "{{ token }} {% include 'x' %}",
    "a\r\nBcc: eve@example.org\r\n\r\nbody",
    "\u{202e}drow\u{2066}\u{200b}\u{feff}\u{7}\u{1b}[31m",
    "&lt;!channel&gt; &amp;",
    "🌲🌲🌲 ünïcode",
];

fn text_of<'a>(json: &'a serde_json::Value, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_else(|| panic!("{pointer}: {json}"))
}

fn keys_of(json: &serde_json::Value) -> Vec<&str> {
    json.as_object().unwrap_or_else(|| panic!("{json}")).keys().map(String::as_str).collect()
}

/// Checks that a text for people has no character that is invisible or changes its direction.
fn assert_plain(text: &str) {
    let is_odd = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!text.is_empty() && !text.chars().any(is_odd), "{text:?}");
}

/// Slack, "Formatting text for app surfaces": & < > are escaped; it splits a text above 4,000
/// characters. Mattermost notifies of @channel and makes links and images of Markdown.
fn assert_slack(json: &serde_json::Value) {
    assert_eq!(keys_of(json), ["text"]);
    let text = text_of(json, "/text");
    assert_plain(text);
    assert!(text.chars().count() <= 4_000, "{} characters", text.chars().count());
    assert!(!text.contains(['<', '>']) && !text.contains("://") && !text.contains("]("), "{text}");
    for (at, _) in text.match_indices('&') {
        let is_escape = ["&amp;", "&lt;", "&gt;"].iter().any(|escape| text[at..].starts_with(escape));
        assert!(is_escape, "{text}");
    }
    let is_mention = |(at, _)| text[at + 1..].starts_with(char::is_alphanumeric);
    assert!(!text.match_indices('@').any(is_mention), "{text}");
}

/// Microsoft, "Create flows that post adaptive cards": one attachment; at most 28 KB. Text runs are
/// no Markdown.
fn assert_teams(json: &serde_json::Value) {
    assert!(json.to_string().len() <= 28 << 10);
    assert_eq!(text_of(json, "/type"), "message");
    assert_eq!(json["attachments"].as_array().unwrap().len(), 1);
    assert_eq!(text_of(json, "/attachments/0/contentType"), "application/vnd.microsoft.card.adaptive");
    let content = &json["attachments"][0]["content"];
    assert_eq!((text_of(content, "/type"), text_of(content, "/version")), ("AdaptiveCard", "1.4"));
    let body = content["body"].as_array().unwrap();
    assert!(body.len() >= 2);
    for block in body {
        assert_eq!(
            (text_of(block, "/type"), text_of(block, "/inlines/0/type")),
            ("RichTextBlock", "TextRun")
        );
        assert_plain(text_of(block, "/inlines/0/text"));
    }
}

/// ntfy, "Publish as JSON": a message has at most 4,096 bytes, the request twice as many.
fn assert_ntfy(json: &serde_json::Value) {
    assert_eq!(keys_of(json), ["message", "priority", "tags", "title", "topic"]);
    assert!(text_of(json, "/message").len() <= 4_096 && json.to_string().len() <= 8_192);
    assert_plain(text_of(json, "/message"));
    assert_plain(text_of(json, "/title"));
    assert!((1..=5).contains(&json["priority"].as_i64().unwrap()));
    assert!(json["tags"].as_array().unwrap().iter().all(serde_json::Value::is_string));
}

/// `PagerDuty`, "Events API v2": required fields and their lengths.
fn assert_pagerduty(json: &serde_json::Value) {
    assert_eq!(keys_of(json), ["client", "dedup_key", "event_action", "payload", "routing_key"]);
    assert!(["trigger", "resolve"].contains(&text_of(json, "/event_action")));
    assert!((1..=255).contains(&text_of(json, "/dedup_key").len()));
    assert_eq!(text_of(json, "/routing_key"), EXTRAS.token);
    let summary = text_of(json, "/payload/summary");
    assert!((1..=1_024).contains(&summary.chars().count()));
    assert_plain(summary);
    assert!(!text_of(json, "/payload/source").is_empty());
    assert!(["critical", "error", "warning", "info"].contains(&text_of(json, "/payload/severity")));
    chrono::DateTime::parse_from_rfc3339(text_of(json, "/payload/timestamp")).unwrap();
    assert!(json["payload"]["custom_details"].is_object());
    assert!(json.to_string().len() <= 512 << 10);
}

/// Alertmanager, `api/v2/openapi.yaml`: an array of alerts; labels and annotations are texts; an
/// alert does not end before it starts.
fn assert_alertmanager(json: &serde_json::Value) {
    for alert in json.as_array().unwrap() {
        assert_eq!(keys_of(alert), ["annotations", "endsAt", "labels", "startsAt"]);
        for set in ["labels", "annotations"] {
            for (name, value) in alert[set].as_object().unwrap() {
                assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && value.is_string());
            }
        }
        let time = |key| chrono::DateTime::parse_from_rfc3339(text_of(alert, key)).unwrap();
        assert!(time("/endsAt") >= time("/startsAt"));
        assert!(!text_of(alert, "/labels/alertname").is_empty());
    }
}

#[test]
fn every_shape_is_what_its_receiver_documents_whatever_the_names_contain() {
    let check = |message: &Message| {
        assert_slack(&json(Shape::Slack, message));
        assert_teams(&json(Shape::Teams, message));
        assert_ntfy(&json(Shape::Ntfy, message));
        assert_pagerduty(&json(Shape::Pagerduty, message));
        assert_alertmanager(&json(Shape::Alertmanager, message));
    };
    let long = ["<".repeat(200), "&@:]".repeat(50), "🌲".repeat(50), "é".repeat(100), "\"\\".repeat(100)];
    let names: Vec<&str> = HOSTILE.into_iter().chain(long.iter().map(String::as_str)).collect();
    for ended in [None, Some(60_000_000)] {
        for name in &names {
            check(&message(i64::from(ended.is_none()), vec![event(name, ended)]));
            check(&message(20, (0..20).map(|_| event(name, ended)).collect()));
        }
        check(&message(1_000, (0..1_000).map(|n| event(names[n % names.len()], ended)).collect()));
    }
}

#[test]
fn a_text_says_how_many_anomalies_it_leaves_out() {
    let short = message(12, (0..12).map(|n| event(&format!("s-{n}"), None)).collect());
    assert!(short.text.ends_with("\nand 2 more") && short.text.lines().count() == 11, "{}", short.text);
    let name = "<".repeat(200);
    let long = message(12, (0..12).map(|_| event(&name, None)).collect());
    let named = long.text.lines().count() - 1;
    assert!(named < 10 && long.text.ends_with(&format!("and {} more", 12 - named)), "{}", long.text);
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
