//! How far the checkpoints in Redis are, for commands and tasks that compare them with rows.

use fred::clients::Client;
use fred::interfaces::HashesInterface as _;
use futures_util::future::try_join_all;
use thicket_actors::queue::RedisError;
use thicket_schema::{Keys, PartitionId, SensorName};

/// Questions that are on their way at once.
const AT_ONCE: usize = 500;

/// The seq of each sensor's checkpoint, in the order of the question; nothing where there is none.
pub(crate) async fn seqs(
    redis: &Client,
    keys: &Keys,
    sensors: &[(PartitionId, SensorName)],
) -> Result<Vec<Option<i64>>, RedisError> {
    let mut seqs = Vec::with_capacity(sensors.len());
    for page in sensors.chunks(AT_ONCE) {
        let asked = page.iter().map(|(partition, sensor)| {
            redis.hget::<Option<i64>, _, _>(keys.checkpoint(*partition, sensor), "seq")
        });
        seqs.extend(try_join_all(asked).await?);
    }
    Ok(seqs)
}
