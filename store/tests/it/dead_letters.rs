//! Dead letters that the broker delivers again, on a real PostgreSQL.

use thicket_schema::{DeadLetter, PartitionId, Position, Reason, RecordPosition};
use thicket_store::postgres::{
    CommitBatch, LoggedDeadLetter, WriteSession, check_deployment, claim, partition_ledgers, postgres_pool,
};

use crate::support::PostgresServer;

const TEN: i64 = 1_795_341_600_000_000;
const SECOND: i64 = 1_000_000;
/// Contents that a partition remembers.
const KEPT: u32 = 8_192;

fn letter(number: u32) -> DeadLetter {
    let payload = format!("{}{number}", "x".repeat(1_000));
    DeadLetter::new("sensors/a", Reason::MalformedJson, "it is not JSON", payload.as_bytes())
}

fn counted(number: u32) -> DeadLetter {
    let mut letter = letter(number);
    letter.count_only();
    letter
}

/// Commits dead letters as one entry of the log. Returns how many are counted, how many of them have
/// no row, and how many are duplicates, over all entries.
async fn commit(
    server: &PostgresServer,
    session: &mut WriteSession,
    n: u64,
    letters: Vec<DeadLetter>,
    redelivered: bool,
) -> [i64; 3] {
    let mut batch = CommitBatch::new(PartitionId(0), 1, Position { generation: u64::from(n > 1), n: n - 1 });
    batch.to = Position { generation: 1, n };
    batch.delivered = letters.len() as u64;
    for (item, dead_letter) in letters.into_iter().enumerate() {
        let position = RecordPosition { position: batch.to, item: item as u32 };
        let received = TEN + n as i64 * SECOND;
        batch.dead_letters.push(LoggedDeadLetter { position, received, redelivered, dead_letter });
    }
    session.commit(&server.url(), &[&batch]).await.unwrap();
    let ledger = &partition_ledgers(&mut server.connect().await).await.unwrap()[0].ledger;
    assert_eq!(ledger.unaccounted(), 0);
    [ledger.dead_letters, ledger.dead_letters_unstored, ledger.duplicates]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_dead_letter_is_known_whether_it_was_stored_shortened_or_only_counted() {
    let server = PostgresServer::start().await;
    check_deployment(&mut server.connect().await, 1).await.unwrap();
    claim(&postgres_pool(&server.url(), 1).unwrap(), &[PartitionId(0)]).await.unwrap();
    let session = &mut WriteSession::default();

    let mut short = letter(2);
    short.sample();
    let first = vec![letter(1), short, counted(3), counted(4)];
    assert_eq!(commit(&server, session, 1, first, false).await, [4, 2, 0]);
    let again = (1..=4).map(letter).collect();
    assert_eq!(commit(&server, session, 2, again, true).await, [4, 2, 4]);
    let others = vec![counted(3), letter(5)];
    assert_eq!(
        commit(&server, session, 3, others, false).await,
        [6, 3, 4],
        "sent again, not delivered again"
    );
    assert_eq!(commit(&server, session, 4, vec![letter(6)], true).await, [7, 3, 4], "never seen");
    assert_eq!(server.number("SELECT count(*) FROM dead_letters").await, 4);

    // The oldest contents make room, whatever the size of a transaction.
    let many: Vec<DeadLetter> = (0..KEPT + 10).map(|number| counted(100 + number)).collect();
    let dead_letters = 7 + i64::from(KEPT) + 10;
    let unstored = 3 + i64::from(KEPT) + 10;
    assert_eq!(commit(&server, session, 5, many, false).await, [dead_letters, unstored, 4]);
    assert_eq!(server.number("SELECT count(*) FROM counted_dead_letters").await, i64::from(KEPT));
    let again = vec![letter(110), letter(100 + KEPT + 9)];
    assert_eq!(commit(&server, session, 6, again, true).await, [dead_letters, unstored, 6]);
    assert_eq!(commit(&server, session, 7, vec![letter(109)], true).await, [dead_letters + 1, unstored, 6]);
}
