//! Copies all keys of a deployment to another Redis, as Redis itself serialises their values.

use bytes::Bytes;
use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::KeysInterface as _;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use thicket_schema::Keys;

use super::RedisError;

/// Number of keys that one page of a scan should have.
const PAGE: u32 = 200;

/// The bytes of values that are collected before they are given on.
const MOST_BYTES_TOGETHER: usize = 16 << 20;
/// The largest serialised value that Redis takes, by the default of `proto-max-bulk-len`.
const MOST_BYTES_OF_VALUE: usize = 512 << 20;

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

/// Reads the keys of a deployment one by one, and gives them to `each` once their values are larger
/// than 16 MB together. A key may occur twice.
///
/// # Errors
/// Also if a value is larger than 512 MB, which no Redis would take back.
pub async fn dump_keys<E: From<RedisError>>(
    redis: &Client,
    keys: &Keys,
    mut each: impl FnMut(Vec<KeyDump>) -> Result<(), E>,
) -> Result<(), E> {
    // The sessions are those of the broker here. A deployment that moves has another one.
    let of_this_place = [keys.importing(), keys.sessions()];
    let (mut dumps, mut bytes) = (Vec::new(), 0);
    for pattern in keys.patterns() {
        let mut cursor = "0".to_owned();
        loop {
            let (next, page): (String, Vec<String>) =
                redis.scan_page(cursor, pattern.clone(), Some(PAGE), None).await?;
            for key in page.into_iter().filter(|key| !of_this_place.contains(key)) {
                let Some(dumped) = dump(redis, key).await? else { continue };
                bytes += dumped.value.len();
                dumps.push(dumped);
                if bytes > MOST_BYTES_TOGETHER {
                    bytes = 0;
                    each(std::mem::take(&mut dumps))?;
                }
            }
            if next == "0" {
                break;
            }
            cursor = next;
        }
    }
    if dumps.is_empty() { Ok(()) } else { each(dumps) }
}

/// Returns a key with its value, `None` if it has just expired.
async fn dump(redis: &Client, key: String) -> Result<Option<KeyDump>, RedisError> {
    let value: Option<Bytes> = redis.dump(&key).await?;
    let ttl: i64 = redis.pttl(&key).await?;
    if let Some(value) = value.as_ref().filter(|value| value.len() > MOST_BYTES_OF_VALUE) {
        let text = format!(
            "the key {key} has {} bytes; redis takes back at most {MOST_BYTES_OF_VALUE}",
            value.len()
        );
        return Err(RedisError::new(ErrorKind::InvalidArgument, text));
    }
    Ok(value.map(|value| KeyDump { key, ttl_ms: u64::try_from(ttl).ok(), value: value.to_vec() }))
}

/// Marks the beginning of an import. Deletes what an import that has not ended left. Returns false
/// if the deployment has keys of its own. Fails if the user may not run `RESTORE`. Nothing is changed
/// in either case.
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
    if let Err(error) = restore_itself(redis, keys.importing()).await {
        if is_interrupted.is_none() {
            end_import(redis, keys).await?;
        }
        return Err(error);
    }
    for page in old.chunks(PAGE as usize) {
        redis.del::<(), _>(page.to_vec()).await?;
    }
    Ok(true)
}

/// Restores a key from its own dump. Shows, before hours of copying, whether this user may do it.
async fn restore_itself(redis: &Client, key: String) -> Result<(), RedisError> {
    let value: Bytes = redis.dump(&key).await?;
    redis.restore(key, 0, value.into(), true, false, None, None).await
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

/// Whether an import has begun and has not ended.
pub async fn is_importing(redis: &Client, keys: &Keys) -> Result<bool, RedisError> {
    redis.exists(keys.importing()).await
}

/// Marks the end of an import.
pub async fn end_import(redis: &Client, keys: &Keys) -> Result<(), RedisError> {
    redis.del(keys.importing()).await
}
