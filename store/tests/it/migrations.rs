//! Several processes that migrate one database at the same time.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use futures_util::future::join_all;
use thicket_schema::postgres::{grant_roles, migrate, migrate_and_report_wait};
use thicket_store::postgres::connect_postgres;

use crate::support::PostgresServer;

/// A statement timeout of the session, and more than the time until it ends a statement.
const TIMEOUT: &str = "SET statement_timeout = '500ms'";
const LONGER: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_another_one_for_longer_than_a_statement_may_take() {
    let server = PostgresServer::start().await;
    let mut other = server.connect().await;
    other.batch_execute("SELECT pg_advisory_lock(hashtext('thicket.migrations'))").await.unwrap();
    let mut connection = server.connect().await;
    connection.batch_execute(TIMEOUT).await.unwrap();
    let (waits, has_to_wait) = tokio::sync::oneshot::channel();
    let migration = tokio::spawn(migrate_and_report_wait(connection, move || waits.send(()).unwrap()));
    has_to_wait.await.unwrap();
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
