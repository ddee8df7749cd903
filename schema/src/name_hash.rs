//! The hash that makes ids of names.

use sha2::{Digest, Sha256};

/// Returns the first 8 bytes of the SHA-256 of a name, as a signed big-endian integer.
///
/// A device chooses its name, and the sensor that is stored first keeps the id. From a hash that is
/// quick to invert, such as XXH3, a device could make a name with the id of another sensor before
/// that sensor sends anything. Here it has to try about 2^63 names for one sensor that it has
/// chosen. For any one of 50,000 sensors whose names it knows, it has to try about 2^48: that takes
/// hours on a graphics card. It gains little: it can keep out one sensor that has not sent anything
/// yet. No reading gets under the name of another sensor, since the names are compared, too: the
/// readings of the second name are dead letters (`sensor_id_taken`).
pub(crate) fn name_hash(name: &[u8]) -> i64 {
    // The digest has 32 bytes, so it has a first chunk.
    Sha256::digest(name).first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}
