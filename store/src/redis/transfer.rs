//! Copies all keys of a deployment to another Redis, as Redis itself serialises their values.

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::KeysInterface as _;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use thicket_schema::Keys;

use super::RedisError;

/// Number of keys that one page of a scan should have.
const PAGE: u32 = 200;

/// A key and its serialised value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDump {
    /// The key.
    pub key: String,
    /// How long the key still lives, in milliseconds; `None` without a limit.
    pub ttl_ms: Option<u64>,
    /// The value, in Redis's own format. A Redis older than the one that wrote it may refuse it.
    pub value: Vec<u8>,
}

/// Reads the keys of a deployment page by page and gives each page to `each`. A key may occur
/// twice.
pub async fn dump_keys<E: From<RedisError>>(
    redis: &Client,
    keys: &Keys,
    mut each: impl FnMut(Vec<KeyDump>) -> Result<(), E>,
) -> Result<(), E> {
    let importing = keys.importing();
    for pattern in keys.patterns() {
        let mut cursor = "0".to_owned();
        loop {
            let (next, page): (String, Vec<String>) =
                redis.scan_page(cursor, pattern.clone(), Some(PAGE), None).await?;
            let page = page.into_iter().filter(|key| *key != importing);
            let dumps = try_join_all(page.map(|key| dump(redis, key))).await?;
            each(dumps.into_iter().flatten().collect())?;
            if next == "0" {
                break;
            }
            cursor = next;
        }
    }
    Ok(())
}

/// Returns a key with its value, `None` if it has just expired.
async fn dump(redis: &Client, key: String) -> Result<Option<KeyDump>, RedisError> {
    let value: Option<Bytes> = redis.dump(&key).await?;
    let ttl: i64 = redis.pttl(&key).await?;
    Ok(value.map(|value| KeyDump { key, ttl_ms: u64::try_from(ttl).ok(), value: value.to_vec() }))
}

/// Marks the beginning of an import. Deletes what an import that has not ended left. Returns false
/// if the deployment has keys of its own: nothing is changed then.
pub async fn begin_import(redis: &Client, keys: &Keys) -> Result<bool, RedisError> {
    let is_interrupted: Option<String> = redis.get(keys.importing()).await?;
    let mut old = Vec::new();
    for pattern in keys.patterns() {
        let mut cursor = "0".to_owned();
        loop {
            let (next, page): (String, Vec<String>) =
                redis.scan_page(cursor, pattern.clone(), Some(PAGE), None).await?;
            old.extend(page.into_iter().filter(|key| *key != keys.importing()));
            if next == "0" {
                break;
            }
            cursor = next;
        }
    }
    if !old.is_empty() && is_interrupted.is_none() {
        return Ok(false);
    }
    redis.set::<(), _, _>(keys.importing(), "1", None, None, false).await?;
    for page in old.chunks(PAGE as usize) {
        redis.del::<(), _>(page.to_vec()).await?;
    }
    Ok(true)
}

/// Writes keys of a deployment `from` as keys of the deployment `to`.
pub async fn restore_keys(
    redis: &Client,
    from: &Keys,
    to: &Keys,
    dumps: Vec<KeyDump>,
) -> Result<(), RedisError> {
    let restore = |dump: KeyDump| async move {
        let Some(key) = from.moved(&dump.key, to) else { return Ok(()) };
        // 0 means without a limit.
        let ttl = dump.ttl_ms.map_or(0, |ttl| ttl.max(1).cast_signed());
        let value = Bytes::from(dump.value).into();
        redis.restore::<(), _>(key, ttl, value, true, false, None, None).await
    };
    for page in dumps.chunks(PAGE as usize) {
        try_join_all(page.iter().cloned().map(restore)).await?;
    }
    Ok(())
}

/// Marks the end of an import.
pub async fn end_import(redis: &Client, keys: &Keys) -> Result<(), RedisError> {
    redis.del(keys.importing()).await
}
