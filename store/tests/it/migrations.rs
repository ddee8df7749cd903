//! Migrations beside other processes: others that migrate, and sessions that hold locks.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use futures_util::future::join_all;
use thicket_schema::postgres::{MigrationWait, grant_roles, migrate, migrate_and_report_wait};
use thicket_store::postgres::connect_postgres;

use crate::support::PostgresServer;

/// A statement timeout of the session, and more than the time until it ends a statement.
const TIMEOUT: &str = "SET statement_timeout = '500ms'";
const LONGER: Duration = Duration::from_secs(1);
/// Undoes the newest migration.
const DOWN: &str = include_str!("../../../schema/migrations/2026-11-28-000001_repeated_and_away/down.sql");
const FORGET: &str = "DELETE FROM __diesel_schema_migrations WHERE version = '20261128000001'";

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_another_one_for_longer_than_a_statement_may_take() {
    let server = PostgresServer::start().await;
    let mut other = server.connect().await;
    other.batch_execute("SELECT pg_advisory_lock(hashtext('thicket.migrations'))").await.unwrap();
    let mut connection = server.connect().await;
    connection.batch_execute(TIMEOUT).await.unwrap();
    let (waits, mut has_to_wait) = tokio::sync::mpsc::unbounded_channel();
    let migration = tokio::spawn(migrate_and_report_wait(connection, move |wait| waits.send(wait).unwrap()));
    assert_eq!(has_to_wait.recv().await, Some(MigrationWait::OtherMigration));
    tokio::time::sleep(LONGER).await;
    assert!(!migration.is_finished());
    drop(other);
    assert!(migration.await.unwrap().unwrap().is_empty(), "the tables are up to date");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_processes_migrates_an_empty_database() {
    let server = PostgresServer::start().await;
    server.execute("CREATE DATABASE empty").await;
    let url = server.url_of("empty");
    let process = async || {
        let ran = migrate(connect_postgres(&url).await.unwrap()).await.unwrap();
        assert!(grant_roles(&mut connect_postgres(&url).await.unwrap()).await.unwrap());
        ran.len()
    };
    let ran = join_all((0..4).map(|_| process())).await;
    assert_eq!(ran.iter().filter(|migrations| **migrations > 0).count(), 1, "{ran:?}");
}

/// A migration that waits for a lock blocks every commit that needs the table, so it gives way.
#[tokio::test(flavor = "multi_thread")]
async fn commits_pass_a_migration_that_waits_for_a_reader() {
    let server = PostgresServer::start().await;
    server.execute(DOWN).await;
    server.execute(FORGET).await;
    let mut reader = server.connect().await;
    reader
        .batch_execute("SET application_name = 'pg_dump'; BEGIN; SELECT count(*) FROM anomalies")
        .await
        .unwrap();
    let (waits, mut waited) = tokio::sync::mpsc::unbounded_channel();
    let connection = server.connect().await;
    let migration = tokio::spawn(migrate_and_report_wait(connection, move |wait| waits.send(wait).unwrap()));
    let Some(MigrationWait::Locks(holders)) = waited.recv().await else { panic!("it waits for nothing") };
    assert!(holders.contains("(pg_dump)") && holders.contains("of the user thicket"), "{holders}");
    server.execute("UPDATE anomalies SET readings = readings").await;
    assert!(!migration.is_finished());
    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(migration.await.unwrap().unwrap(), ["20261128000001"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_keep_their_rights_when_a_migration_is_undone_and_run_again() {
    let server = PostgresServer::start().await;
    assert!(grant_roles(&mut server.connect().await).await.unwrap());
    let rights = "SELECT format('%s %s %s', grantee, privilege_type, table_name)
        FROM information_schema.role_table_grants
        WHERE grantee IN ('thicket_engine', 'thicket_reader') ORDER BY 1";
    let granted = server.texts(rights).await;
    assert!(granted.iter().any(|right| right == "thicket_reader SELECT anomaly_causes"), "{granted:?}");
    server.execute(DOWN).await;
    server.execute(FORGET).await;
    assert_eq!(server.texts(rights).await, granted);
    assert_eq!(migrate(server.connect().await).await.unwrap().len(), 1);
    assert_eq!(server.texts(rights).await, granted);
}
