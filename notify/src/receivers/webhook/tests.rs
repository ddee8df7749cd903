use super::*;

fn config() -> RouteConfig {
    let config = serde_json::from_value(serde_json::json!({
        "name": "r", "receiver": "webhook", "sensors": "*", "kinds": ["opened"], "min_grade": 0.0,
        "min_duration": "0s", "hours": [], "time_zone": "UTC", "remind_every": "0s", "group_levels": 1,
        "group_wait": "0s", "group_interval": "0s", "max_per_minute": 10, "timeout": "1s",
        "give_up_after": "1d", "url": "http://127.0.0.1/services/T0/B0C1D2E3?key=query&hook=a1b2c3d4", "ca": "", "username": "",
        "password": "", "shape": "json", "template": "", "content_type": "application/json",
        "token": "token1", "headers": { "x-login": "Basic dXNlcjpTRUNSRVQ=" }, "topic": "", "home_assistant": "", "from": "", "to": []
    }));
    config.unwrap()
}

fn webhook() -> Webhook {
    Webhook::new(&config()).unwrap()
}

#[test]
fn a_password_in_the_url_is_refused_without_repeating_it() {
    for (shape, url) in [
        (Shape::Json, "https://user:hunter2@host/path"),
        (Shape::Json, "http://user@host"),
        (Shape::Ntfy, "https://user:hunter2@ntfy.sh/topic"),
    ] {
        let problem = Webhook::new(&RouteConfig { shape, url: url.to_owned(), ..config() }).unwrap_err();
        assert_eq!(problem.key, "url");
        let text = problem.problem;
        assert!(text.contains("headers = { authorization") && !text.contains("hunter2"), "{text}");
    }
    let at_in_path = RouteConfig { url: "https://host/@channel?to=a@b".to_owned(), ..config() };
    Webhook::new(&at_in_path).unwrap();
}

#[test]
fn an_error_shows_no_secret_and_is_short() {
    let webhook = webhook();
    let page =
        "HTTP 404: POST http://host/services/T0/B0C1D2E3?key=query&hook=a1b2c3d4\nBearer token1 is unknown";
    assert_eq!(webhook.shown(page), "HTTP 404: POST http://host/***?****** is unknown");
    let parts = "no hook a1b2c3d4 at B0C1D2E3 for the login dXNlcjpTRUNSRVQ=";
    assert_eq!(webhook.shown(parts), "no hook *** at *** for the login ***");
    let debugged = format!("{webhook:?}");
    assert!(!debugged.contains("services") && !debugged.contains("token1"), "{debugged}");
}

#[test]
fn a_receiver_asks_to_wait_in_seconds_or_until_a_date() {
    let now = DateTime::parse_from_rfc3339("2026-11-26T10:00:00Z").unwrap().to_utc();
    let asked = |text| wait_of(text, now).map(|wait| wait.as_secs());
    assert_eq!((asked("120"), asked(" 0 ")), (Some(120), Some(0)));
    assert_eq!(asked("Thu, 26 Nov 2026 10:02:00 GMT"), Some(120));
    assert_eq!(asked("Thu, 26 Nov 2026 09:00:00 GMT"), Some(0));
    assert_eq!((asked("soon"), asked("-1"), asked("99999999999999999999")), (None, None, None));
}

#[test]
fn an_answer_without_a_body_ends_with_its_status_and_what_to_do() {
    let answer = |body: &str| {
        let answer = Response::builder().status(401).body(Body::builder().data(body)).unwrap();
        verdict(answer).unwrap_err().to_string()
    };
    assert!(answer("").ends_with("HTTP 401 Unauthorized (check token and url)"), "{}", answer(""));
    assert!(answer(" \n").ends_with("(check token and url)"));
    assert!(answer("no").ends_with("(check token and url): no"));
    let long = answer(&format!("no {}", "é".repeat(9_000)));
    assert!(long.contains("(check token and url): no éé"), "{long}");
}
