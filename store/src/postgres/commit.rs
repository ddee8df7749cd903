//! The commit point. One transaction writes a set of batches, all or none.

#[cfg(feature = "faults")]
mod broken;

use diesel::result::Error as DatabaseError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};

use super::batch::CommitBatch;
use super::pending_writes::{CommitReport, PendingWrites, StoredReferences, after_commit, lock};
use super::positions::advance;
use crate::faults;

/// Commits the batches that follow the committed positions. The report also has the decisions on
/// the other batches.
pub(super) async fn apply(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    stored: &StoredReferences,
) -> Result<CommitReport, DatabaseError> {
    #[cfg(feature = "faults")]
    if broken::is_wanted() {
        return broken::apply(connection, batches, stored).await;
    }
    let report = connection.transaction(async |connection| write(connection, batches, stored).await).await?;
    after_commit()?;
    Ok(report)
}

async fn write(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    stored: &StoredReferences,
) -> Result<CommitReport, DatabaseError> {
    let committed = lock(connection, batches).await?;
    let mut writes = PendingWrites::default();
    let mut report = writes.add_all(batches, committed, stored);
    if writes.advances.is_empty() {
        return Ok(report);
    }
    writes.insert(connection, &mut report).await?;
    if advance(connection, &writes.advances).await? != writes.advances.len() {
        // The partitions are locked and were checked, so this cannot happen. If it happens, roll
        // back all writes.
        return Err(DatabaseError::RollbackTransaction);
    }
    faults::pass("insert.after");
    faults::pass("commit.before");
    Ok(report)
}
