//! Every error of a topic or a payload maps to a reason for a dead letter.

#![allow(clippy::unwrap_used, reason = "a test")]

use thicket_codecs::{PayloadDecoder, TopicTemplate, TopicTemplates};
use thicket_schema::Reason;

#[test]
fn errors_of_topics_and_payloads_have_their_reasons() {
    let payload_reason = |payload: &str| {
        Reason::from(
            &PayloadDecoder::default()
                .decode(payload.as_bytes())
                .and_then(|mut all| all.remove(0))
                .unwrap_err(),
        )
    };
    assert_eq!(payload_reason(&" ".repeat(65_537)), Reason::PayloadTooLarge);
    assert_eq!(payload_reason("{"), Reason::MalformedJson);
    assert_eq!(payload_reason(""), Reason::Empty);
    assert_eq!(payload_reason("{}"), Reason::NoNumericField);
    assert_eq!(payload_reason("1e999"), Reason::NotFinite);
    assert_eq!(payload_reason(r#"{"a":1,"a":1}"#), Reason::DuplicateField);
    assert_eq!(payload_reason(r#"{"a":1,"ts":"now"}"#), Reason::BadTimestamp);
    let members: Vec<String> = (0..65).map(|n| format!(r#""f{n}":1"#)).collect();
    assert_eq!(payload_reason(&format!("{{{}}}", members.join(","))), Reason::TooManyFields);
    assert_eq!(payload_reason(&format!("[{}{{}}]", "{},".repeat(1_000))), Reason::TooManyReadings);
    assert_eq!(payload_reason(r#"{"":1}"#), Reason::BadFieldName);
    assert_eq!(payload_reason("null"), Reason::NotAReading);

    let topic_reason = |topic: &str| {
        let templates = TopicTemplates(vec![TopicTemplate::parse("sensors/{sensor...}").unwrap()]);
        Reason::from(&templates.sensor(topic).unwrap_err())
    };
    assert_eq!(topic_reason("other"), Reason::NoTopicTemplate);
    assert_eq!(topic_reason("sensors//"), Reason::BadSensorName);
}
