//! Renaming a sensor, on a real PostgreSQL.

use thicket_schema::{SensorId, SensorName};
use thicket_store::postgres::{
    RenameOutcome, find_sensor, gone_sensors, misnamed, postgres_pool, present_name, read_registry,
    read_renames, rename_sensor,
};

use crate::support::PostgresServer;

const NAMES: &str = "SELECT name || '=' || coalesce(first_name, '') FROM sensors ORDER BY 1";

fn name(text: &str) -> SensorName {
    SensorName::new(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_keeps_its_first_name_and_no_other_sensor_gets_its_present_one() {
    let server = PostgresServer::start().await;
    let (a, b) = (name("a").id(), name("b").id());
    server
        .execute(&format!(
            "INSERT INTO sensors (id, name, partition, fields, first_seen)
             VALUES ({}, 'a', 3, '{{x}}', now()), ({}, 'b', 4, '{{x}}', now())",
            a.0, b.0
        ))
        .await;
    let mut connection = server.connect().await;
    let renamed = rename_sensor(&mut connection, a, &name("b")).await.unwrap();
    assert_eq!(renamed, RenameOutcome::Taken);
    assert_eq!(
        rename_sensor(&mut connection, SensorId(1), &name("c")).await.unwrap(),
        RenameOutcome::Unknown
    );
    for new in ["c", "d"] {
        assert_eq!(rename_sensor(&mut connection, a, &name(new)).await.unwrap(), RenameOutcome::Renamed);
    }
    assert_eq!(server.texts(NAMES).await, ["b=", "d=a"]);
    let found = find_sensor(&mut connection, &name("d")).await.unwrap().unwrap();
    assert_eq!((found.id, found.first_name()), (a.0, "a"));
    assert!(find_sensor(&mut connection, &name("a")).await.unwrap().is_none());
    assert_eq!(misnamed(&mut connection).await.unwrap(), Vec::<String>::new());
    assert_eq!(present_name(&mut connection, "a").await.unwrap(), "d");
    assert_eq!(present_name(&mut connection, "b").await.unwrap(), "b");
    assert_eq!(gone_sensors(&mut connection, &["a", "d", "b"], None).await.unwrap(), ["d"]);

    let pool = postgres_pool(&server.url(), 1).unwrap();
    let registry = read_registry(&pool).await.unwrap();
    let mut known: Vec<&str> = registry.sensors.iter().map(|(name, _)| name.as_str()).collect();
    known.sort_unstable();
    assert_eq!(known, ["a", "b"]);
    assert_eq!(read_renames(&pool).await.unwrap(), registry.renames);
    let [rename] = &registry.renames[..] else { panic!("{:?}", registry.renames) };
    assert_eq!((rename.first_name.as_str(), rename.name.as_str(), rename.partition), ("a", "d", 3));

    // A message with the new name came before the intake knew it.
    let upsert = |new: &str| {
        format!(
            "SELECT coalesce(message, '') FROM try_upsert_sensors(ARRAY[{}], ARRAY['{new}'], ARRAY[3], ARRAY[1::bigint], ARRAY['x'], ARRAY[now()])",
            name(new).id().0
        )
    };
    assert!(server.texts(&upsert("d")).await[0].contains("a has been renamed to d"));
    // Its first name is known, and the name between is free.
    assert_eq!(server.texts(&upsert("a")).await, Vec::<String>::new());
    assert_eq!(server.texts(&upsert("c")).await, Vec::<String>::new());
    assert_eq!(rename_sensor(&mut connection, a, &name("a")).await.unwrap(), RenameOutcome::Renamed);
    assert_eq!(server.texts(NAMES).await, ["a=", "b=", "c="]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sensors_that_have_swapped_their_names_are_still_stored() {
    let server = PostgresServer::start().await;
    let (a, b) = (name("a").id(), name("b").id());
    let upsert = |field_set: i64| {
        format!(
            "SELECT message FROM try_upsert_sensors(ARRAY[{}, {}], ARRAY['a', 'b'], ARRAY[3, 3],
                                                    ARRAY[{field_set}, {field_set}]::bigint[], ARRAY['x{field_set}', 'x{field_set}'],
                                                    ARRAY[now(), now()])",
            a.0, b.0
        )
    };
    assert_eq!(server.texts(&upsert(1)).await, Vec::<String>::new());
    let mut connection = server.connect().await;
    for (sensor, new) in [(a, "between"), (b, "a"), (a, "b")] {
        assert_eq!(rename_sensor(&mut connection, sensor, &name(new)).await.unwrap(), RenameOutcome::Renamed);
    }
    assert_eq!(server.texts(&upsert(2)).await, Vec::<String>::new());
    assert_eq!(server.texts(NAMES).await, ["a=b", "b=a"]);
    assert_eq!(server.texts("SELECT field_sets::text FROM sensors").await, ["{1,2}", "{1,2}"]);
}
