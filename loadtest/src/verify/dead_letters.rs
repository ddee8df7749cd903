//! Messages without meaning must each have become a dead letter.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;

use super::{
    Losses, VerifyError,
    published::{Published, letter_key},
};
use crate::database::Database;

/// Looks for a dead letter of every malformed message that was published.
pub(super) async fn compare(
    published: &Published,
    database: &mut Database,
    losses: &mut Losses,
) -> Result<(), VerifyError> {
    if published.malformed.is_empty() {
        return Ok(());
    }
    let mut found: HashMap<u128, u64> = HashMap::new();
    let mut letters = Box::pin(database.dead_letters().await?);
    while let Some(letter) = letters.try_next().await? {
        let key = letter_key(&letter.topic, &letter.payload, letter.payload_bytes as u64);
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
