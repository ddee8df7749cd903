//! The roles of the database: the engine's does what the engine does, and the reader's can neither
//! lock nor fill.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use thicket_schema::postgres::{create_engine_login, grant_roles, pending_migrations};
use thicket_schema::{PartitionId, Position};
use thicket_store::postgres::{
    CheckpointFacts, DayOutcome, FieldSets, TableReader, TableWriter, WriteSession, begin_retention,
    can_claim, check_deployment, claim, connect_postgres, day_tables, postgres_pool, rows_after,
};

use crate::drop_day;
use crate::rejected_rows::batch_of;
use crate::support::PostgresServer;

/// Grants the roles, and returns the URLs of a member of each.
async fn start() -> (PostgresServer, String, String) {
    let server = PostgresServer::start().await;
    for _ in 0..2 {
        assert!(grant_roles(&mut server.connect().await).await.unwrap(), "run by a superuser");
    }
    let password = thicket_compose::password().unwrap();
    create_engine_login(&mut server.connect().await, "engine", &password).await.unwrap();
    server.execute(&format!("CREATE ROLE viewer LOGIN PASSWORD '{password}' IN ROLE thicket_reader")).await;
    let (engine, viewer) = (server.url_as("engine"), server.url_as("viewer"));
    (server, engine, viewer)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_s_role_commits_restores_and_drops_days_and_owns_nothing() {
    let (server, engine, _) = start().await;
    assert!(pending_migrations(connect_postgres(&engine).await.unwrap()).await.unwrap().is_empty());
    check_deployment(&mut connect_postgres(&engine).await.unwrap(), 1).await.unwrap();
    let pool = postgres_pool(&engine, 1).unwrap();
    can_claim(&pool).await.unwrap();
    claim(&pool, &[PartitionId(0)]).await.unwrap();
    let batch = batch_of(&[1.0, 2.0]);
    WriteSession::default().commit(&engine, &[&batch]).await.unwrap();
    let sensor = batch.sensors[0].sensor.id();
    server.execute("DO $$ BEGIN ASSERT (SELECT last_day = '2026-11-22' FROM sensors); END $$").await;
    CheckpointFacts::load(&pool, sensor).await.unwrap();
    assert_eq!(rows_after(&pool, sensor, None, 10, &FieldSets::default()).await.unwrap().rows.len(), 2);

    let mut session = connect_postgres(&engine).await.unwrap();
    assert!(begin_retention(&mut session).await.unwrap());
    let days = day_tables(&mut session, None).await.unwrap();
    let day = days.iter().find(|day| day.name.ends_with("d22")).unwrap();
    let dropped = thicket_store::postgres::drop_day(&mut session, day, async |_| Ok::<_, drop_day::Error>(0))
        .await
        .unwrap();
    assert_eq!(dropped, DayOutcome::Dropped(2));
    for forbidden in ["DROP TABLE readings", "CREATE TABLE t (n int)", "SELECT drop_day_partition('sensors')"]
    {
        session.batch_execute(forbidden).await.unwrap_err();
    }
    let mut second = batch_of(&[3.0]);
    (second.from, second.to) = (batch.to, Position { generation: 1, n: 2 });
    WriteSession::default().commit(&server.url(), &[&second]).await.unwrap();
}

/// The values of the sequences are part of a deployment: without them, ids would be given twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_engine_s_role_exports_and_imports_the_sequences() {
    const SILENCE: &str = "INSERT INTO silences (pattern, until, note, author)
                           VALUES ('*', now() + interval '1 hour', '', '')";
    let (old, old_engine, _) = start().await;
    old.execute(&format!("{SILENCE}; {SILENCE}; DELETE FROM silences")).await;
    let tables = TableReader::begin(&(&old_engine).into()).await.unwrap();
    let (all, sequences) = (tables.tables().await.unwrap(), tables.sequences().await.unwrap());
    let last = sequences.iter().find(|sequence| sequence.name == "silences_id_seq").unwrap().last;
    assert_eq!(last, Some(2));

    let (new, new_engine, _) = start().await;
    let writer = TableWriter::begin(&(&new_engine).into(), &all).await.unwrap();
    writer.commit(&sequences).await.unwrap();
    new.execute(SILENCE).await;
    assert_eq!(new.number("SELECT id FROM silences").await, 3);

    old.execute("REVOKE SELECT ON SEQUENCE silences_id_seq FROM thicket_engine").await;
    let refused = TableReader::begin(&(&old_engine).into()).await.unwrap().sequences().await.unwrap_err();
    assert!(refused.to_string().contains("may not read the sequence silences_id_seq"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_s_role_reads_views_and_can_neither_lock_nor_fill() {
    let (server, engine, viewer) = start().await;
    check_deployment(&mut server.connect().await, 1).await.unwrap();
    claim(&postgres_pool(&engine, 1).unwrap(), &[PartitionId(0)]).await.unwrap();
    can_claim(&postgres_pool(&viewer, 1).unwrap()).await.unwrap_err();
    let mut viewer = connect_postgres(&viewer).await.unwrap();
    for view in
        ["scores", "reading_values", "anomaly_events", "sensor_status", "ledger", "dead_letter_summary"]
    {
        viewer.batch_execute(&format!("SELECT * FROM {view}")).await.unwrap();
    }
    for forbidden in [
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(hashtext('thicket.retention'))",
        "SELECT lo_creat(-1)",
        "CREATE TEMP TABLE big (n int)",
        "CREATE TABLE big (n int)",
        "SELECT payload FROM dead_letters",
        "LOCK TABLE deployment IN SHARE UPDATE EXCLUSIVE MODE",
        "SELECT * FROM deployment FOR UPDATE",
        "SELECT ensure_day_partitions(ARRAY['2026-01-01'::date])",
        "SELECT drop_day_partition('readings')",
        "COPY (SELECT 1) TO PROGRAM 'id'",
    ] {
        assert!(viewer.batch_execute(forbidden).await.is_err(), "{forbidden} is allowed");
    }
    // A reader in the middle of a query stops no commit of a new day.
    viewer.batch_execute("BEGIN; SELECT count(*) FROM scores").await.unwrap();
    let (batch, mut session) = (batch_of(&[1.0]), WriteSession::default());
    let batches = [&batch];
    let commit = session.commit(&engine, &batches);
    tokio::time::timeout(Duration::from_secs(30), commit).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_cannot_act_with_the_owner_s_rights_before_the_roles_are_granted() {
    let server = PostgresServer::start().await;
    check_deployment(&mut server.connect().await, 1).await.unwrap();
    claim(&postgres_pool(&server.url(), 1).unwrap(), &[PartitionId(0)]).await.unwrap();
    WriteSession::default().commit(&server.url(), &[&batch_of(&[1.0])]).await.unwrap();
    let password = thicket_compose::password().unwrap();
    server.execute(&format!("CREATE ROLE stranger LOGIN PASSWORD '{password}'")).await;
    let mut stranger = connect_postgres(&server.url_as("stranger")).await.unwrap();
    let day = "'readings_y2026m11d22'";
    for call in [
        "ensure_day_partitions(ARRAY['2026-01-01'::date])",
        "lock_day_partition(DAY)",
        "drop_day_partition(DAY)",
    ] {
        let call = format!("SELECT {}", call.replace("DAY", day));
        let refused = stranger.batch_execute(&call).await.unwrap_err().to_string();
        assert!(refused.contains("permission denied for function"), "{call}: {refused}");
    }
}
