use std::{collections::BTreeMap, time::Duration};

use super::{Context, Error, Selection, promql, sql};

fn context() -> Context {
    Context {
        from: "2026-11-22T10:00:00Z".parse().unwrap(),
        to: "2026-11-22T11:00:00.5Z".parse().unwrap(),
        interval: Duration::from_mins(1),
        rate_interval: Duration::from_secs(20),
        search: "o'h".to_owned(),
        variables: [
            ("sensor".to_owned(), Selection::One("o'hare/mic \"7\"".to_owned())),
            ("field".to_owned(), Selection::Several(vec!["a".to_owned(), "b'\"".to_owned()])),
            ("instance".to_owned(), Selection::Several(vec![".*".to_owned()])),
            ("site".to_owned(), Selection::All("NULL::text".to_owned())),
        ]
        .into(),
    }
}

#[test]
fn macros_become_what_grafana_makes_of_them() {
    for (query, expected) in [
        ("$__timeFilter(ts)", "ts BETWEEN '2026-11-22T10:00:00Z' AND '2026-11-22T11:00:00.500Z'"),
        ("$__timeFrom()::timestamptz", "'2026-11-22T10:00:00Z'::timestamptz"),
        ("$__timeTo()", "'2026-11-22T11:00:00.500Z'"),
        ("$__timeGroup(ts, $__interval)", "floor(extract(epoch from ts)/60)*60"),
        ("$__timeGroup(ts, '500ms')", "floor(extract(epoch from ts)/0.5)*0.5"),
        ("$__timeGroupAlias(ts, 5m, 0) x", "floor(extract(epoch from ts)/300)*300 AS \"time\" x"),
        ("name ILIKE '%$__searchFilter'", "name ILIKE '%o''h%'"),
        ("$__timeGroup(ts,1h), b", "floor(extract(epoch from ts)/3600)*3600 AS \"time\", b"),
    ] {
        assert_eq!(sql(query, &context()).unwrap(), expected, "{query}");
    }
}

#[test]
fn variables_are_quoted_for_sql() {
    let query = "sensor = '$sensor' AND field IN (${field}) AND instance IN ($instance) AND site IN ($site)";
    let expected = "sensor = 'o''hare/mic \"7\"' AND field IN ('a','b''\"') AND instance IN ('.*') AND site IN (NULL::text)";
    assert_eq!(sql(query, &context()).unwrap(), expected);
}

#[test]
fn variables_and_intervals_go_into_promql() {
    let query = "rate(x{instance=~\"$instance\"}[$__rate_interval]) + increase(y{f=~\"${field}\"}[$__range])";
    let expected = "rate(x{instance=~\".*\"}[20s]) + increase(y{f=~\"(a|b)\"}[3600s])";
    let context = Context {
        variables: BTreeMap::from([
            ("instance".to_owned(), Selection::All(".*".to_owned())),
            ("field".to_owned(), Selection::Several(vec!["a".to_owned(), "b".to_owned()])),
        ]),
        ..context()
    };
    assert_eq!(promql(query, &context).unwrap(), expected);
}

#[test]
fn what_grafana_would_not_understand_is_an_error() {
    let error = |query| sql(query, &context()).unwrap_err();
    assert_eq!(error("$sensr"), Error::UnknownVariable("sensr".to_owned()));
    assert_eq!(error("${sensor:sqlstring}"), Error::UnknownFormat("sqlstring".to_owned()));
    assert_eq!(error("$__timeFiltr(ts)"), Error::UnknownMacro("__timeFiltr".to_owned()));
    assert_eq!(error("$__from"), Error::UnknownMacro("__from".to_owned()));
    for query in ["$__timeFilter()", "$__timeGroup(ts)", "$__timeGroup(ts, often)", "$__timeGroup(ts, 1m, x)"]
    {
        assert!(matches!(error(query), Error::BadArguments(..)), "{query}");
    }
}
