//! Transactions that take longer than they may, and a server that does not answer.

use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use thicket_schema::PartitionId;
use thicket_store::postgres::{
    WriteError, WriteSession, check_deployment, claim, connect_postgres, postgres_pool,
};
use tokio::net::TcpListener;

use crate::rejected_rows::batch_of;
use crate::support::PostgresServer;

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = BigInt)]
    delivered: i64,
}

async fn stored(server: &PostgresServer) -> (i64, i64) {
    let query = "SELECT (SELECT count(*) FROM readings) AS rows, (SELECT sum(delivered)::int8 FROM partitions) AS delivered";
    let mut connection = server.connect().await;
    let found = diesel_async::RunQueryDsl::get_result(diesel::sql_query(query), &mut connection).await;
    let stored: Stored = found.unwrap();
    (stored.rows, stored.delivered)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_leaves_nothing_and_can_be_repeated() {
    let server = PostgresServer::start().await;
    check_deployment(&mut server.connect().await, 1).await.unwrap();
    claim(&postgres_pool(&server.url(), 1).unwrap(), &[PartitionId(0)]).await.unwrap();
    server
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$;
             CREATE TRIGGER slow BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await;
    let batch = batch_of(&[1.0; 30]);
    let mut session = WriteSession::default();
    session.set_limit(Duration::from_secs(1)).await.unwrap();
    let error = session.commit(&server.url(), &[&batch]).await.unwrap_err();
    assert!(matches!(error, WriteError::Slow(_)), "{error}");
    assert!(session.quarantine_unstorable(&error, &[&batch]).await.is_empty());
    assert_eq!(stored(&server).await, (0, 0));

    session.set_limit(Duration::from_secs(20)).await.unwrap();
    session.commit(&server.url(), &[&batch]).await.unwrap();
    session.commit(&server.url(), &[&batch]).await.unwrap();
    assert_eq!(stored(&server).await, (30, 30), "the repetition changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_a_connection_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://thicket@127.0.0.1:{port}/thicket");
    let Err(error) = connect_postgres(&url).await else { panic!("connected to nothing") };
    assert!(error.to_string().contains("no answer"), "{error}");
}
