use std::time::Duration;

use thicket_schema::SensorId;
use thicket_store::postgres::DeliveryKey;

use super::*;
use crate::config::example;

const SECOND: i64 = 1_000_000;

fn route(change: impl FnOnce(&mut RouteConfig)) -> Route {
    let mut config = example();
    change(&mut config);
    Route::new(config).unwrap()
}

fn held(kind: NotificationKind) -> HeldDelivery {
    let key = DeliveryKey { sensor: SensorId(1), started: Timestamp(0), kind, item: 0 };
    HeldDelivery {
        key,
        sensor: "site-1/a".to_owned(),
        is_forgotten: false,
        ended: None,
        newest: Timestamp(10 * SECOND),
        peak_grade: 0.5,
        opened: Some(DeliveryState::Held),
    }
}

fn over(kind: NotificationKind) -> HeldDelivery {
    HeldDelivery { ended: Some(Timestamp(10 * SECOND)), ..held(kind) }
}

/// The states that a route gives to deliveries at a second of the first day.
fn states(route: &Route, deliveries: &[HeldDelivery], second: i64, silences: &[&str]) -> Vec<DeliveryState> {
    let silences = silences.iter().map(|pattern| WildMatch::new(pattern)).collect();
    let moment = Moment { now: Timestamp(second * SECOND), silences };
    route.decide(deliveries, &moment).into_iter().map(|change| change.state).collect()
}

#[test]
fn an_anomaly_is_announced_once_it_is_grave_and_dropped_if_it_never_was() {
    use DeliveryState::{Dropped, Waiting};
    use NotificationKind::{Ended, Opened};
    let all = route(|_| {});
    assert_eq!(states(&all, &[held(Opened)], 0, &[]), [Waiting]);
    assert_eq!(states(&all, &[over(Opened), over(Ended)], 0, &[]), [Waiting, Waiting]);
    let grave = route(|config| config.min_grade = 0.6);
    let long = route(|config| config.min_duration = Duration::from_secs(11));
    for strict in [grave, long] {
        assert_eq!(states(&strict, &[held(Opened)], 0, &[]), []);
        assert_eq!(states(&strict, &[over(Opened), over(Ended)], 0, &[]), [Dropped, Dropped]);
    }
}

#[test]
fn of_a_forgotten_sensor_only_the_ends_of_announced_anomalies_are_announced() {
    use DeliveryState::{Dropped, Sent, Waiting};
    use NotificationKind::{Ended, Label, Opened, Reminder};
    let all = route(|_| {});
    let forgotten = |kind, opened| HeldDelivery { is_forgotten: true, opened: Some(opened), ..held(kind) };
    let never = [Opened, Ended].map(|kind| forgotten(kind, DeliveryState::Held));
    assert_eq!(states(&all, &never, 0, &[]), [Dropped, Dropped]);
    let announced = [Reminder, Label, Ended].map(|kind| forgotten(kind, Sent));
    assert_eq!(states(&all, &announced, 0, &[]), [Dropped, Dropped, Waiting]);
}

#[test]
fn outside_the_hours_and_in_a_silence_only_ends_are_announced() {
    use DeliveryState::{Dropped, Sent, Waiting};
    use NotificationKind::{Ended, Opened, Reminder};
    let by_day = route(|config| config.hours = vec!["08:00-18:00".to_owned().try_into().unwrap()]);
    let announced = HeldDelivery { opened: Some(Sent), ..over(Ended) };
    let (night, day) = (3_600, 12 * 3_600);
    assert_eq!(states(&by_day, &[held(Opened)], night, &[]), []);
    assert_eq!(states(&by_day, &[held(Opened)], day, &[]), [Waiting]);
    assert_eq!(states(&by_day, &[over(Opened)], night, &[]), [Dropped]);
    assert_eq!(states(&by_day, std::slice::from_ref(&announced), night, &[]), [Waiting]);
    assert_eq!(states(&by_day, &[held(Opened)], day, &["site-1/*"]), []);
    assert_eq!(states(&by_day, &[held(Opened)], day, &["site-2/*"]), [Waiting]);
    assert_eq!(states(&by_day, &[announced], day, &["*"]), [Waiting]);
    let reminder = HeldDelivery { opened: Some(Sent), ..held(Reminder) };
    assert_eq!(states(&by_day, std::slice::from_ref(&reminder), night, &[]), []);
    assert_eq!(states(&by_day, &[reminder], day, &[]), [Waiting]);
}

#[test]
fn a_kind_that_is_not_announced_passes_and_others_depend_on_it() {
    use DeliveryState::{Passed, Waiting};
    use NotificationKind::{Ended, Opened};
    let ends = route(|config| config.kinds = vec![Kind::Ended]);
    assert_eq!(states(&ends, &[over(Opened), over(Ended)], 0, &[]), [Passed, Waiting]);
}

#[test]
fn a_route_takes_the_sensors_of_its_pattern_and_knows_their_site() {
    let route = route(|_| {});
    let wants = |sensor: &str, kind| {
        route.wants(&StoredNotification { sensor: sensor.to_owned(), started: Timestamp(0), kind })
    };
    assert!(wants("site-1/a", NotificationKind::Opened) && !wants("site-2/a", NotificationKind::Opened));
    assert!(!wants("site-1/a", NotificationKind::Label), "the kind is not announced");
    assert_eq!([route.site_of("a/b/c"), route.site_of("a")], ["a", "a"]);
}

#[test]
fn every_wrong_setting_is_named() {
    let key = |change: fn(&mut RouteConfig)| {
        let mut config = example();
        change(&mut config);
        Route::new(config).unwrap_err()[0].key
    };
    assert_eq!(key(|config| config.name.clear()), "name");
    assert_eq!(key(|config| config.url = "ftp://host".to_owned()), "url");
    assert_eq!(key(|config| config.min_grade = 2.0), "min_grade");
    assert_eq!(key(|config| config.timeout = Duration::from_mins(1)), "timeout");
    assert_eq!(key(|config| config.template = "{{ open".to_owned()), "template");
    assert_eq!(key(|config| config.shape = crate::config::Shape::Pagerduty), "token");
    assert_eq!(key(|config| config.sensors.clear()), "sensors");
    assert_eq!(key(|config| config.kinds.clear()), "kinds");
    let without_ends = |config: &mut RouteConfig| config.kinds = vec![Kind::Opened];
    for (receiver, shape) in [
        (ReceiverKind::Mqtt, Shape::Json),
        (ReceiverKind::Webhook, Shape::Pagerduty),
        (ReceiverKind::Webhook, Shape::Alertmanager),
    ] {
        let mut config = RouteConfig { receiver, shape, token: "key".to_owned(), ..example() };
        without_ends(&mut config);
        assert_eq!(Route::new(config).unwrap_err()[0].key, "kinds", "{shape:?}");
    }
    route(without_ends);
    let ca = |config: &mut RouteConfig| {
        config.url = "https://host/".to_owned();
        config.ca = "/nowhere".to_owned();
    };
    assert_eq!(key(ca), "ca");
}
