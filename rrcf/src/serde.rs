//! Serialises a forest in any `serde` format, as the bytes of its [snapshot](Forest::snapshot).

use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::forest::Forest;

/// Maximum number of bytes to allocate because of a length that a format announces.
const CREDULITY: usize = 4_096;

impl Serialize for Forest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.snapshot())
    }
}

/// Accepts the bytes that [`Forest::restore`] accepts, and reports its errors for all others.
impl<'de> Deserialize<'de> for Forest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(SnapshotVisitor)
    }
}

struct SnapshotVisitor;

impl<'de> Visitor<'de> for SnapshotVisitor {
    type Value = Forest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a snapshot of a forest")
    }

    fn visit_bytes<E: Error>(self, snapshot: &[u8]) -> Result<Forest, E> {
        Forest::restore(snapshot).map_err(E::custom)
    }

    /// Reads a list of numbers, for formats without a byte type, such as JSON.
    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Forest, A::Error> {
        let mut snapshot = Vec::with_capacity(bytes.size_hint().unwrap_or(0).min(CREDULITY));
        while let Some(byte) = bytes.next_element()? {
            snapshot.push(byte);
        }
        self.visit_bytes(&snapshot)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{BytesDeserializer, Error as ValueError, SeqDeserializer};
    use serde::de::{DeserializeOwned, IntoDeserializer};

    use super::{Deserialize, Forest, Serialize};
    use crate::{Neighbour, Sampling, Score};

    fn grown(sampling: Sampling) -> Forest {
        let mut forest =
            Forest::builder(2).trees(5).window(30).shingle(2).seed(3).sampling(sampling).build().unwrap();
        for n in 0..90_u16 {
            forest.update(&[f32::from(n % 7), f32::from(n * n % 11) * 0.3]).unwrap();
        }
        forest
    }

    /// Checks that both forests score the next points alike, bit for bit, and end in the same
    /// state.
    fn continue_alike(mut one: Forest, mut other: Forest) {
        for n in 0..80_u16 {
            let point = [f32::from(n * n % 13), f32::from(n)];
            let (a, b) = (one.update(&point).unwrap(), other.update(&point).unwrap());
            assert_eq!((a.codisp.to_bits(), a), (b.codisp.to_bits(), b));
        }
        assert_eq!(one.snapshot(), other.snapshot());
    }

    #[test]
    fn a_forest_continues_bit_for_bit_in_every_kind_of_format() {
        for sampling in
            [Sampling::SlidingWindow, Sampling::Reservoir, Sampling::TimeDecayed { rate: 0.1 / 30.0 }]
        {
            let forest = grown(sampling);
            let json = serde_json::to_string(&forest).unwrap();
            continue_alike(serde_json::from_str(&json).unwrap(), forest.clone());
            let packed = postcard::to_allocvec(&forest).unwrap();
            assert!(packed.len() < forest.snapshot().len() + 6, "bytes stay bytes");
            continue_alike(postcard::from_bytes(&packed).unwrap(), forest.clone());
            let owned = serde_json::Value::from(forest.snapshot());
            continue_alike(serde_json::from_value(owned).unwrap(), forest);
        }
    }

    #[test]
    fn a_damaged_snapshot_is_an_error_that_says_so() {
        let mut snapshot = grown(Sampling::SlidingWindow).snapshot();
        snapshot[20] ^= 1;
        let words = Forest::restore(&snapshot).unwrap_err().to_string();
        let json = serde_json::to_string(&snapshot).unwrap();
        let refused = serde_json::from_str::<Forest>(&json).unwrap_err().to_string();
        assert!(refused.starts_with(&words), "{refused}");
        let bytes: BytesDeserializer<'_, ValueError> = snapshot.as_slice().into_deserializer();
        assert_eq!(Forest::deserialize(bytes).unwrap_err().to_string(), words);
        assert!(postcard::from_bytes::<Forest>(&postcard::to_allocvec(&snapshot).unwrap()).is_err());
        assert!(serde_json::from_str::<Forest>("[82, 82, 256]").is_err());
        assert!(
            serde_json::from_str::<Forest>("{}").unwrap_err().to_string().contains("snapshot of a forest")
        );
    }

    /// A few bytes whose announced length is larger than the memory.
    struct Boastful(std::vec::IntoIter<u8>);

    impl Iterator for Boastful {
        type Item = u8;

        fn next(&mut self) -> Option<u8> {
            self.0.next()
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, Some(usize::MAX))
        }
    }

    #[test]
    fn a_length_that_lies_costs_nothing() {
        let forest = grown(Sampling::Reservoir);
        let boastful = SeqDeserializer::<_, ValueError>::new(Boastful(forest.snapshot().into_iter()));
        continue_alike(Forest::deserialize(boastful).unwrap(), forest);
    }

    #[test]
    fn scores_neighbours_and_ways_of_sampling_come_back_the_same() {
        fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
            assert_eq!(&serde_json::from_str::<T>(&serde_json::to_string(value).unwrap()).unwrap(), value);
            assert_eq!(&postcard::from_bytes::<T>(&postcard::to_allocvec(value).unwrap()).unwrap(), value);
        }
        let forest = grown(Sampling::SlidingWindow);
        same::<Score>(&forest.score(&[1.0, 9.0]).unwrap());
        same::<Vec<Neighbour>>(&forest.neighbours(&[1.0, 2.0], 3).unwrap());
        same(&Sampling::SlidingWindow);
        same(&Sampling::Reservoir);
        same(&Sampling::TimeDecayed { rate: 0.1 });
    }
}
