use thicket_schema::Position;
use thicket_schema::postgres::ReadingRow;
use thicket_store::postgres::LoggedRow;
use tokio::sync::oneshot::Receiver;

use super::*;
use crate::credit::Credit;
use crate::testing::{metrics, reading};

fn new_commit(partition: u16, rows: usize) -> (Commit, Receiver<CommitOutcome>) {
    let mut batch = CommitBatch::new(PartitionId(partition), 5, Position::default());
    let row = ReadingRow::unscored(&reading("a", 1, 1.0), 0);
    batch.rows = vec![LoggedRow { position: thicket_schema::RecordPosition::default(), row }; rows];
    let (reply, outcome) = oneshot::channel();
    (Commit { batch, reply, credit: Credit::unbounded() }, outcome)
}

fn waiting(rows: &[usize]) -> VecDeque<Commit> {
    rows.iter().map(|&rows| new_commit(0, rows).0).collect()
}

#[test]
fn a_transaction_takes_whole_batches_up_to_its_size() {
    let mut commits = waiting(&[3, 3, 3]);
    assert_eq!(take_next(&mut commits, 7).len(), 2);
    assert_eq!(take_next(&mut commits, 7).len(), 1);
    assert!(take_next(&mut commits, 7).is_empty());
}

#[test]
fn a_batch_larger_than_a_transaction_goes_alone() {
    let mut commits = waiting(&[9, 1]);
    assert_eq!(take_next(&mut commits, 7).len(), 1);
    assert_eq!(commits.len(), 1);
}

#[test]
fn batches_of_a_partition_with_a_bad_row_go_back_to_their_shard() {
    let ((bad, mut refused), (good, mut kept)) = (new_commit(1, 1), new_commit(2, 1));
    let rest = withdraw(vec![bad, good], &BTreeSet::from([PartitionId(1)]));
    assert_eq!(rest.iter().map(|commit| commit.batch.partition.0).collect::<Vec<_>>(), [2]);
    assert_eq!(refused.try_recv(), Ok(CommitOutcome::Withdrawn));
    assert!(kept.try_recv().is_err(), "the others are still to be committed");
}

#[actix_rt::test]
async fn a_restart_drops_the_replies_so_that_shards_reopen_their_partitions() {
    let options = PostgresWriterOptions {
        server: "postgres://127.0.0.1:1/none".into(),
        max_rows: 10,
        dead_letters: DeadLetterLog::default(),
        lease: Duration::from_secs(4),
    };
    let mut writer = PostgresWriter::new(options, metrics());
    let mut context = Context::new();
    writer.state.busy = true;
    let (commit, outcome) = new_commit(1, 1);
    writer.handle(commit, &mut context);
    assert_eq!(writer.state.waiting.len(), 1);
    writer.restarting(&mut context);
    assert!(outcome.await.is_err());
}
