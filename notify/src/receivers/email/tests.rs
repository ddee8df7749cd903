use lettre::transport::smtp::response::Detail;
use thicket_schema::Timestamp;
use thicket_store::postgres::Anomaly;

use super::*;
use crate::config::ReceiverKind;
use crate::message::Origin;

#[test]
fn a_refused_login_is_no_refusal_of_the_mail() {
    let permanent = Severity::PermanentNegativeCompletion;
    let code = |severity, category| Code::new(severity, category, Detail::Zero);
    assert!(is_refusal(code(permanent, Category::MailSystem)));
    assert!(!is_refusal(code(permanent, Category::Unspecified3)));
    assert!(!is_refusal(code(Severity::TransientNegativeCompletion, Category::MailSystem)));
}

#[test]
fn an_answer_about_a_recipient_says_nothing_about_the_others() {
    let (transient, permanent) =
        (Severity::TransientNegativeCompletion, Severity::PermanentNegativeCompletion);
    let code = |severity, category| Code::new(severity, category, Detail::Zero);
    assert!(concerns_mail(code(transient, Category::MailSystem)));
    assert!(!concerns_mail(code(transient, Category::Connections)));
    assert!(!concerns_mail(code(permanent, Category::Unspecified3)));
    // A refusal never ends an attempt: the recipients after it would miss the mail.
    assert!(concerns_mail(code(permanent, Category::MailSystem)));
    assert!(concerns_mail(code(permanent, Category::Connections)));
}

#[test]
fn a_name_adds_no_header_and_no_recipient() {
    let address = |text: &str| text.parse::<Mailbox>().unwrap();
    let email = Email {
        url: "smtp://localhost".to_owned(),
        credentials: None,
        ca: None,
        from: address("Thicket <thicket@example.org>"),
        to: vec![address("ada@example.org")],
        timeout: Duration::from_secs(1),
        accepted: Arc::default(),
    };
    let anomaly = Anomaly {
        sensor: "a\r\nBcc: eve@example.org\r\n\r\n<b>ünï</b>".to_owned(),
        started: Timestamp(0),
        ended: None,
        accepted: false,
        peak_at: Timestamp(0),
        peak_score: 1.0,
        peak_grade: 0.5,
        readings: 1,
        causes: Vec::new(),
        label: None,
    };
    let message = Message::test(Origin { deployment: "d", route: "r" }, anomaly, ReceiverKind::Email);
    let mail = email.mail(&message).unwrap();
    let recipients: Vec<String> = mail.envelope().to().iter().map(ToString::to_string).collect();
    assert_eq!(recipients, ["ada@example.org"]);
    let text = String::from_utf8(mail.formatted()).unwrap();
    let (headers, _) = text.split_once("\r\n\r\n").unwrap();
    let is_folded = |line: &&str| line.starts_with(' ');
    let names = headers.lines().filter(|line| !is_folded(line)).filter_map(|line| line.split_once(':'));
    let mut names: Vec<&str> = names.map(|(name, _)| name).collect();
    names.sort_unstable();
    let expected = [
        "Auto-Submitted",
        "Content-Transfer-Encoding",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
    ];
    assert_eq!(names, [&expected[..], &["Subject", "To"]].concat(), "{headers}");
    assert!(headers.contains("text/plain") && headers.lines().all(|line| line.len() <= 998), "{headers}");
}

fn config(url: &str, password: &str) -> RouteConfig {
    RouteConfig {
        receiver: ReceiverKind::Email,
        url: url.to_owned(),
        username: if password.is_empty() { String::new() } else { "ada".to_owned() },
        password: password.to_owned(),
        from: "thicket@example.org".to_owned(),
        to: vec!["ada@example.org".to_owned()],
        ..crate::config::example()
    }
}

#[test]
fn a_url_that_could_be_without_tls_unnoticed_is_refused() {
    for url in ["smtps://host", "smtps://host:465/helo", "smtp://host:587?tls=required", "smtp://host"] {
        Email::new(&config(url, "")).unwrap();
    }
    for query in [
        "tls=opportunistic",
        "tls=%6fpportunistic",
        "TLS=required",
        "starttls=required",
        "tls=required&tls=x",
        "tls=required#x",
    ] {
        let problem = Email::new(&config(&format!("smtp://host?{query}"), "")).unwrap_err();
        assert_eq!(problem.key, "url");
        assert!(problem.problem.contains("write ?tls=required"), "{query}: {}", problem.problem);
    }
}

#[test]
fn a_password_that_leaves_the_machine_without_tls_is_warned_of() {
    let host_of = |url: &str, password: &str| {
        let email = Email::new(&config(url, password)).unwrap();
        email.warning().map(|warning| warning.split(" crosses the network to ").nth(1).unwrap().to_owned())
    };
    let end = "without TLS; write smtps://, or ?tls=required behind the host";
    for (url, host) in [
        ("smtp://mail.example.org:25", "mail.example.org"),
        ("smtp://10.0.0.1", "10.0.0.1"),
        ("smtp://[2001:db8::1]:25/helo", "[2001:db8::1]"),
    ] {
        assert_eq!(host_of(url, "s3cret"), Some(format!("{host} {end}")));
        assert_eq!(host_of(url, ""), None, "no password");
    }
    for url in [
        "smtps://mail.example.org",
        "smtp://mail.example.org?tls=required",
        "smtp://localhost:25",
        "smtp://127.0.0.1:25",
        "smtp://[::1]:25",
    ] {
        assert_eq!(host_of(url, "s3cret"), None, "{url}");
    }
}
