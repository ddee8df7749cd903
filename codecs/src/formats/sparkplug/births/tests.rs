use super::*;

fn metrics(names: &[&str]) -> Metrics {
    let declared = |(alias, name): (usize, &&str)| Declared {
        name: (*name).to_owned(),
        alias: Some(alias as u64),
        datatype: 10,
    };
    Metrics::new(names.iter().enumerate().map(declared).collect())
}

fn births() -> Births {
    Births::new(BirthLimits::default())
}

fn learn(births: &mut Births, since: i64, names: &[&str], redelivered: bool) -> Learnt {
    births.learn("plant/edge", Timestamp(since), metrics(names), redelivered)
}

fn first(births: &Births, at: i64) -> Option<&str> {
    births.find("plant/edge", Some(Timestamp(at))).map(|found| found.by_alias(0).unwrap().name.as_str())
}

#[test]
fn a_message_uses_the_newest_birth_that_is_not_after_it() {
    let mut births = births();
    assert!(matches!(learn(&mut births, 10, &["a"], false), Learnt::New(_)));
    assert!(matches!(learn(&mut births, 20, &["b"], false), Learnt::New(_)));
    assert_eq!(
        [9, 10, 19, 20, 99].map(|at| first(&births, at)),
        [None, Some("a"), Some("a"), Some("b"), Some("b")]
    );
    assert_eq!(births.find("plant/edge", None), Some(&metrics(&["b"])));
    assert_eq!(births.oldest("plant/edge"), Some(&metrics(&["a"])));
    assert_eq!(births.find("plant/other", None), None);
}

#[test]
fn a_birth_that_teaches_nothing_new_is_not_kept() {
    let mut births = births();
    learn(&mut births, 10, &["a"], false);
    assert_eq!(learn(&mut births, 15, &["a"], false), Learnt::Known);
    learn(&mut births, 20, &["b"], false);
    assert_eq!(learn(&mut births, 10, &["a"], true), Learnt::Known, "delivered again");
    assert_eq!(first(&births, 17), Some("a"));
}

#[test]
fn a_clock_that_is_set_back_ends_later_births_and_a_redelivery_does_not() {
    let mut births = births();
    learn(&mut births, 10, &["a"], false);
    learn(&mut births, 30, &["c"], false);
    assert!(matches!(learn(&mut births, 20, &["b"], true), Learnt::New(_)));
    assert_eq!([15, 25, 35].map(|at| first(&births, at)), [Some("a"), Some("b"), Some("c")]);
    let Learnt::New(change) = learn(&mut births, 15, &["d"], false) else { panic!("it is new") };
    assert_eq!(change.forgotten, ["plant/edge@20", "plant/edge@30"]);
    assert_eq!([12, 25, 35].map(|at| first(&births, at)), [Some("a"), Some("d"), Some("d")]);
    let Learnt::New(change) = learn(&mut births, 12, &["a"], false) else { panic!("it ends the later one") };
    assert_eq!(change.forgotten, ["plant/edge@15"]);
    assert_eq!([12, 25].map(|at| first(&births, at)), [Some("a"), Some("a")]);
}

#[test]
fn a_clock_that_is_set_back_before_all_births_does_not_cost_the_new_one() {
    let mut births = births();
    for n in 0..KEPT as i64 {
        learn(&mut births, 100 + n, &[&format!("m{n}")], false);
    }
    let Learnt::New(change) = learn(&mut births, 50, &["new"], false) else { panic!("it is new") };
    assert_eq!(change.learnt.0, "plant/edge@50");
    assert_eq!(change.forgotten.len(), KEPT);
    assert!(!change.forgotten.contains(&"plant/edge@50".to_owned()));
    assert_eq!(births.find("plant/edge", None), Some(&metrics(&["new"])));
    assert_eq!(births.bytes, metrics(&["new"]).bytes());
}

#[test]
fn a_redelivered_birth_that_is_older_than_all_kept_ones_is_not_stored() {
    let mut births = births();
    for n in 0..KEPT as i64 {
        learn(&mut births, 100 + n, &[&format!("m{n}")], false);
    }
    assert_eq!(learn(&mut births, 50, &["old"], true), Learnt::Known);
    assert_eq!(births.oldest("plant/edge"), Some(&metrics(&["m0"])));
}

#[test]
fn the_oldest_births_are_forgotten() {
    let mut births = births();
    for n in 0..20 {
        let Learnt::New(change) = learn(&mut births, n, &[&format!("m{n}")], false) else {
            panic!("it is new")
        };
        let forgotten = usize::try_from(n).unwrap().checked_sub(KEPT).map(|n| format!("plant/edge@{n}"));
        assert_eq!(change.forgotten, Vec::from_iter(forgotten));
        assert_eq!(change.learnt.0, format!("plant/edge@{n}"));
    }
    assert_eq!(first(&births, 11), None);
    assert_eq!(first(&births, 12), Some("m12"));
    assert_eq!(
        births.bytes,
        births.sources["plant/edge"].iter().map(|birth| birth.metrics.bytes()).sum::<usize>()
    );
}

#[test]
fn stored_births_are_restored_in_any_order() {
    let mut births = births();
    let mut stored = Vec::new();
    for (since, names) in [(10, ["a", "b"]), (20, ["b", "a"]), (30, ["ü/°", ""])] {
        let Learnt::New(change) = learn(&mut births, since, &names, false) else { panic!("it is new") };
        stored.push(change.learnt);
    }
    let mut restored = Births::new(BirthLimits::default());
    for (name, bytes) in stored.iter().rev() {
        restored.restore(name, bytes).unwrap();
    }
    for at in [5, 10, 25, 35] {
        let at = Some(Timestamp(at));
        assert_eq!(restored.find("plant/edge", at), births.find("plant/edge", at));
    }
    let (name, bytes) = &stored[0];
    for damaged in
        [&bytes[1..], &bytes[..bytes.len() - 1], &[bytes, &[0][..]].concat()[..], &[][..], &[2, 0][..]]
    {
        assert!(restored.restore(name, damaged).is_err());
    }
    for name in ["plant/edge", "plant/edge@", "@x"] {
        assert!(restored.restore(name, bytes).is_err(), "{name}");
    }
}

#[test]
fn births_beyond_a_limit_are_not_learnt() {
    let limits = BirthLimits { max_sources: 2, max_metrics: 2, max_bytes: 4_096 };
    let mut births = Births::new(limits);
    let mut learn = |source: &str, since, names: &[&str]| {
        matches!(births.learn(source, Timestamp(since), metrics(names), false), Learnt::Full(_))
    };
    assert!(learn("a", 1, &["x", "y", "z"]), "too many metrics");
    assert!(!learn("a", 1, &["x", "y"]));
    assert!(learn("a", 2, &["x", &"y".repeat(4_000)]), "too many bytes");
    assert!(!learn("b", 1, &["x"]));
    assert!(learn("c", 1, &["x"]), "too many sources");
    assert!(!learn("a", 2, &["y"]), "a known source goes on");
    let bytes = encode(&metrics(&["x"]));
    assert_eq!(births.restore("c@1", &bytes), Err(StoredBirthError::Full { name: "c@1".to_owned() }));
}

#[test]
fn a_birth_beyond_a_limit_ends_the_birth_before_it() {
    let mut births = Births::new(BirthLimits { max_metrics: 2, ..BirthLimits::default() });
    let too_many = ["x", "y", "z"];
    assert_eq!(learn(&mut births, 5, &too_many, false), Learnt::Full(None), "nothing to end");
    learn(&mut births, 10, &["a"], false);
    learn(&mut births, 30, &["c"], false);
    let Learnt::Full(Some(change)) = learn(&mut births, 20, &too_many, true) else { panic!("it ends a") };
    assert_eq!((&*change.learnt.0, change.forgotten.len()), ("plant/edge@20", 0));
    assert_eq!(learn(&mut births, 20, &too_many, true), Learnt::Full(None), "it has ended");
    let nothing = Metrics::default();
    let mut restored = Births::new(births.limits);
    restored.restore(&change.learnt.0, &change.learnt.1).unwrap();
    assert_eq!(restored.find("plant/edge", None), Some(&nothing));
    assert_eq!(births.find("plant/edge", Some(Timestamp(25))), Some(&nothing));
    assert_eq!([15, 35].map(|at| first(&births, at)), [Some("a"), Some("c")]);
    let Learnt::Full(Some(change)) = learn(&mut births, 5, &too_many, false) else { panic!("it ends all") };
    assert_eq!(change.forgotten, ["plant/edge@10", "plant/edge@20", "plant/edge@30"]);
    assert_eq!(births.find("plant/edge", None), Some(&nothing));
}

#[test]
fn a_birth_takes_the_room_of_the_births_that_leave_for_it() {
    let one = metrics(&["x"]).bytes();
    let mut births = Births::new(BirthLimits { max_bytes: one * KEPT, ..BirthLimits::default() });
    let names: Vec<String> = (b'a'..=b'z').map(|name| char::from(name).to_string()).collect();
    for (since, name) in names.iter().enumerate() {
        assert!(matches!(learn(&mut births, since as i64, &[name], false), Learnt::New(_)), "{since}");
    }
    assert!(matches!(learn(&mut births, 25, &["y"], false), Learnt::New(_)), "at the same time");
    assert!(matches!(births.learn("other", Timestamp(1), metrics(&["x"]), false), Learnt::Full(None)));
    let large = "l".repeat(one * KEPT);
    assert!(matches!(learn(&mut births, 26, &[&large], false), Learnt::Full(Some(_))));
    assert!(births.bytes <= births.limits.max_bytes);
    assert!(matches!(learn(&mut births, 0, &["x"], false), Learnt::New(_)), "the later births leave");
}

#[test]
fn of_two_metrics_of_one_name_or_alias_the_first_counts() {
    let declared =
        |name: &str, alias, datatype| Declared { name: name.to_owned(), alias: Some(alias), datatype };
    let metrics = Metrics::new(vec![declared("b", 1, 3), declared("a", 1, 9), declared("b", 2, 10)]);
    assert_eq!(metrics.by_name("b").unwrap().datatype, 3);
    assert_eq!(metrics.by_alias(1).unwrap().name, "a");
    assert_eq!(metrics.by_alias(2), None);
}
