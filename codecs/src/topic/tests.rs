use proptest::prelude::*;

use super::*;

fn parse(templates: &[&str]) -> TopicTemplates {
    TopicTemplates(templates.iter().map(|template| TopicTemplate::parse(template).unwrap()).collect())
}

fn sensor(template: &str, topic: &str) -> Result<String, TopicError> {
    parse(&[template]).sensor(topic).map(|name| name.to_string())
}

#[test]
fn captured_levels_are_the_sensors_name() {
    for (template, topic, name) in [
        ("sensors/{sensor...}", "sensors/a", "a"),
        ("sensors/{sensor...}", "sensors/site-1/microphone-7", "site-1/microphone-7"),
        ("sensors/{site}/{device}", "sensors/site-1/microphone-7", "site-1/microphone-7"),
        ("plant/{site}/raw/{device}", "plant/north/raw/pump-3", "north/pump-3"),
        ("plant/{site}/raw/{rest...}", "plant/north/raw/pump/3", "north/pump/3"),
        ("{all...}", "a/b/c", "a/b/c"),
        ("/{site}/state", "/north/state", "north"),
        ("Küche/{Gerät-1}", "Küche/Fühler 3", "Fühler 3"),
    ] {
        assert_eq!(sensor(template, topic), Ok(name.to_owned()), "{template} {topic}");
    }
}

#[test]
fn a_topic_of_another_form_is_no_sensor() {
    for (template, topic) in [
        ("sensors/{sensor...}", "sensors"),
        ("sensors/{sensor...}", "actors/a"),
        ("sensors/{sensor...}", ""),
        ("sensors/{site}/{device}", "sensors/a"),
        ("sensors/{site}/{device}", "sensors/a/b/c"),
        ("plant/{site}/raw", "plant/north/raw/pump"),
        ("plant/{site}/raw", "plant/north"),
    ] {
        let expected = TopicError::NoTemplateMatches { topic: topic.to_owned() };
        assert_eq!(sensor(template, topic), Err(expected), "{template} {topic}");
    }
}

#[test]
fn a_captured_text_that_is_no_name_is_an_error_of_its_own() {
    let empty_level = TopicError::BadSensorName(SensorNameError::EmptyLevel { name: "a//b".to_owned() });
    assert_eq!(sensor("sensors/{sensor...}", "sensors/a//b"), Err(empty_level));
    assert_eq!(sensor("sensors/{x}", "sensors/"), Err(TopicError::BadSensorName(SensorNameError::Empty)));
}

#[test]
fn the_first_template_that_matches_wins() {
    let templates = parse(&["sensors/{site}/raw/{device}", "sensors/{sensor...}"]);
    assert_eq!(templates.sensor("sensors/north/raw/pump").unwrap().as_str(), "north/pump");
    assert_eq!(templates.sensor("sensors/north/cooked/pump").unwrap().as_str(), "north/cooked/pump");
    let expected = TopicError::NoTemplateMatches { topic: "x".to_owned() };
    assert_eq!(templates.sensor("x"), Err(expected.clone()));
    assert_eq!(TopicTemplates::default().sensor("x"), Err(expected));
}

#[test]
fn a_sensor_s_topic_is_that_of_the_first_template_which_leads_back_to_it() {
    let templates = parse(&["plant/{site}/raw/{device}", "sensors/{sensor...}"]);
    let topic = |sensor: &str| templates.topic(&SensorName::new(sensor).unwrap());
    assert_eq!(topic("north/pump").unwrap(), "plant/north/raw/pump");
    assert_eq!(topic("pump").unwrap(), "sensors/pump");
    assert_eq!(topic("a/b/c").unwrap(), "sensors/a/b/c");
}

#[test]
fn a_sensor_that_no_template_gives_has_no_topic() {
    let none = |templates: &[&str], sensor: &str| {
        let sensor = SensorName::new(sensor).unwrap();
        assert_eq!(parse(templates).topic(&sensor), Err(NoTopicError { sensor: sensor.clone() }));
    };
    none(&["a/{x}"], "north/pump");
    none(&["a/{x}/{rest...}"], "north");
    none(&[], "north");
    // The second template would write this topic, but the first one reads it as another sensor's.
    none(&["sensors/{site}/raw/{device}", "sensors/{sensor...}"], "north/raw/pump");
}

#[test]
fn a_malformed_template_is_refused_with_the_level() {
    for level in ["{}", "{...}", "{a", "a}", "x{a}", "{a}x", "{a b}", "{a..}", "+", "#", "a+", "a\0", "{{a}}"]
    {
        let template = format!("{{ok}}/{level}");
        let expected = TemplateError::BadLevel { template: template.clone(), level: level.to_owned() };
        assert_eq!(TopicTemplate::parse(&template), Err(expected));
    }
    for template in ["", "sensors", "sensors/"] {
        let expected = TemplateError::NoCapture { template: template.to_owned() };
        assert_eq!(TopicTemplate::parse(template), Err(expected));
    }
    assert!(matches!(TopicTemplate::parse("{a...}/{b}"), Err(TemplateError::RestNotLast { .. })));
    assert!(matches!(TopicTemplate::parse("{a}/{a}"), Err(TemplateError::DuplicateName { .. })));
    assert!(matches!(TopicTemplate::parse("{a}/{a...}"), Err(TemplateError::DuplicateName { .. })));
}

#[test]
fn an_error_shows_how_a_capture_is_written() {
    let message = TopicTemplate::parse("sensors").unwrap_err().to_string();
    let expected = "the topic template sensors captures no level; \
                    write `{name}` for one level or end it with `{name...}`";
    assert_eq!(message, expected);
}

proptest! {
    #[test]
    fn no_template_and_no_topic_panics(template in "[a/{}.+#é]{0,16}", topic in "[a/é]{0,16}") {
        if let Ok(template) = TopicTemplate::parse(&template) {
            let _ = TopicTemplates(vec![template]).sensor(&topic);
        }
    }

    #[test]
    fn a_topic_that_is_given_leads_back_to_its_sensor(
        templates in prop::collection::vec("(a|b|\\{x\\})(/(a|b|\\{y\\}|\\{z\\.\\.\\.\\})){0,2}", 0..4),
        name in "[ab](/[ab]){0,4}",
    ) {
        let sensor = SensorName::new(&name).unwrap();
        let templates: Vec<_> = templates.iter().filter_map(|text| TopicTemplate::parse(text).ok()).collect();
        let templates = TopicTemplates(templates);
        if let Ok(topic) = templates.topic(&sensor) {
            prop_assert_eq!(templates.sensor(&topic), Ok(sensor));
        }
    }

    #[test]
    fn default_template_captures_exactly_the_rest(name in "[a-zé]{1,5}(/[a-z0-9 -]{1,5}){0,4}") {
        prop_assert_eq!(sensor("sensors/{sensor...}", &format!("sensors/{name}")), Ok(name));
    }
}
