//! Checks that every malformed message became a dead letter.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use thicket_store::postgres::SnapshotReader;

use super::{
    error::VerifyError,
    losses::Losses,
    published::{Published, dead_letter_key},
};

/// Looks for a dead letter for each malformed message that was published.
pub(super) async fn compare(
    published: &Published,
    database: &mut SnapshotReader,
    losses: &mut Losses,
) -> Result<(), VerifyError> {
    if published.malformed.is_empty() {
        return Ok(());
    }
    let mut found: HashMap<u128, u64> = HashMap::new();
    let mut dead_letters = Box::pin(database.dead_letters().await?);
    while let Some(dead_letter) = dead_letters.try_next().await? {
        let payload_bytes = dead_letter.payload_bytes as u64;
        let key = dead_letter_key(&dead_letter.topic, &dead_letter.payload, payload_bytes);
        if published.malformed.contains_key(&key) {
            *found.entry(key).or_default() += 1;
        }
    }
    for (key, message) in &published.malformed {
        let missing = message.count.saturating_sub(found.get(key).copied().unwrap_or_default());
        losses.add(missing, || {
            let payload = String::from_utf8_lossy(&message.payload[..message.payload.len().min(80)]);
            format!("no dead letter for {payload:?} on {}", message.topic)
        });
    }
    Ok(())
}
