use actix_web::http::header::HeaderValue;

use super::*;

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
    pairs.collect()
}

fn at(host: &str) -> HeaderMap {
    headers(&[(HOST, host)])
}

fn with_token(token: &str) -> HeaderMap {
    headers(&[(HOST, "localhost"), (AUTHORIZATION, &format!("Bearer {token}"))])
}

#[test]
fn only_names_of_this_server_are_answered() {
    let access = Access { hosts: vec!["engine.plant".to_owned()], ..Access::default() };
    for host in
        ["localhost", "localhost:9464", "127.0.0.1:9464", "[::1]:9464", "10.0.0.7", "Engine.Plant:9464"]
    {
        assert_eq!(access.check(&at(host), false), Ok(()), "{host}");
    }
    for host in
        ["evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example", "", ":9464"]
    {
        assert_eq!(access.check(&at(host), false), Err(Refusal::Host), "{host}");
    }
    assert_eq!(access.check(&HeaderMap::new(), false), Err(Refusal::Host));
}

#[test]
fn a_page_of_another_server_is_refused() {
    let access = Access::default();
    let from = |origin| headers(&[(HOST, "localhost:9464"), (ORIGIN, origin)]);
    assert_eq!(access.check(&from("http://localhost:9464"), false), Ok(()));
    for origin in ["http://evil.example", "null", "http://localhost:3000"] {
        assert_eq!(access.check(&from(origin), false), Err(Refusal::Origin), "{origin}");
    }
}

#[test]
fn without_tokens_everybody_may_read_and_nobody_may_change() {
    let access = Access::default();
    assert_eq!(access.check(&at("localhost"), false), Ok(()));
    assert_eq!(access.check(&at("localhost"), true), Err(Refusal::ReadOnly));
    assert_eq!(access.check(&with_token("x"), true), Err(Refusal::ReadOnly));
}

#[test]
fn the_token_of_an_operator_may_do_both() {
    let access =
        Access { read: Some(digest("reader")), operate: Some(digest("operator")), ..Access::default() };
    assert_eq!(access.check(&at("localhost"), false), Err(Refusal::Token("read_token_file")));
    assert_eq!(access.check(&with_token("reader"), false), Ok(()));
    assert_eq!(access.check(&with_token("reader"), true), Err(Refusal::Token("operate_token_file")));
    for changes in [false, true] {
        assert_eq!(access.check(&with_token("operator"), changes), Ok(()));
    }
    assert_eq!(access.check(&with_token("operato"), true), Err(Refusal::Token("operate_token_file")));
}
