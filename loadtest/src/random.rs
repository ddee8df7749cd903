//! Random numbers as a pure function. Every synthetic quantity has a [`Key`], a hash of the seed
//! and of the path to the quantity. So a reading does not depend on the readings that were
//! generated before it.
//!
//! The generator is not from a crate: the readings of a seed must keep their bits, whatever version
//! a dependency has. It uses only integer arithmetic and `+ − ×`, so the numbers are the same on
//! every machine.

/// The name of a random quantity: a seed, and a path from the seed to the quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// Starts a path. Numbers for different purposes under the same seed are independent.
    pub fn root(seed: u64, purpose: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64_with_seed(purpose.as_bytes(), seed))
    }

    /// Returns the key one step further on the path.
    #[must_use]
    pub fn at(self, step: u64) -> Self {
        Self(mix(self.0 ^ mix(step.wrapping_add(GOLDEN))))
    }

    /// Returns the key's 64 random bits.
    pub fn bits(self) -> u64 {
        mix(self.0)
    }

    /// Returns a number in `0 <= x < 1`.
    pub fn unit(self) -> f64 {
        to_unit(self.bits())
    }

    /// Returns a number in `low <= x < high`.
    pub fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Returns a nearly Gaussian number with mean 0 and variance 1, always within ±3.47.
    pub fn gauss(self) -> f64 {
        to_gauss(self.bits())
    }

    /// Returns a number in `0 <= n < count`; 0 if `count` is 0.
    pub fn choice(self, count: usize) -> usize {
        to_choice(self.bits(), count)
    }

    /// Returns a stream of numbers, for uses that need many in a fixed order.
    pub fn stream(self) -> Stream {
        Stream(self.0)
    }

    /// Returns the value at `time` of a smooth random function with mean 0 and variance about 1.
    /// Values more than two units of time apart are independent.
    pub fn drift(self, time: f64) -> f64 {
        let cell = time.floor();
        let part = time - cell;
        let weight = part * part * (3.0 - 2.0 * part);
        let left = self.at(cell as i64 as u64).gauss();
        let right = self.at(cell as i64 as u64 + 1).gauss();
        // Interpolation halves the variance in the middle. The factor 1.16 restores it on average.
        1.16 * (left + (right - left) * weight)
    }
}

/// A sequence of random numbers (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Stream(u64);

impl Stream {
    /// Returns the next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Returns the next number in `0 <= x < 1`.
    pub fn unit(&mut self) -> f64 {
        to_unit(self.bits())
    }

    /// Returns the next number in `low <= x < high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Returns the next nearly Gaussian number with mean 0 and variance 1.
    pub fn gauss(&mut self) -> f64 {
        to_gauss(self.bits())
    }

    /// Returns a number in `0 <= n < count`; 0 if `count` is 0.
    pub fn choice(&mut self, count: usize) -> usize {
        to_choice(self.bits(), count)
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of `SplitMix64`: every input bit affects every output bit.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn to_unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Returns the sum of four 16-bit uniform numbers (each of variance 1/12), scaled to variance 1.
fn to_gauss(bits: u64) -> f64 {
    let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    (sum as f64 / 65_535.0 - 2.0) * 1.732_050_807_568_877_2
}

fn to_choice(bits: u64, count: usize) -> usize {
    ((u128::from(bits) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
        let numbers: Vec<f64> = numbers.collect();
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / numbers.len() as f64;
        (mean, variance)
    }

    #[test]
    fn units_fill_the_interval_evenly() {
        let (mean, variance) = moments((0..100_000).map(|n| Key::root(1, "unit").at(n).unit()));
        assert!((mean - 0.5).abs() < 0.005, "mean {mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.002, "variance {variance}");
    }

    #[test]
    fn gauss_and_drift_have_mean_zero_and_variance_one() {
        let key = Key::root(2, "gauss");
        let (mean, variance) = moments((0..100_000).map(|n| key.at(n).gauss()));
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02,
            "gauss: mean {mean}, variance {variance}"
        );
        let (mean, variance) = moments((0..200_000).map(|n| key.drift(f64::from(n) * 0.1)));
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "drift: mean {mean}, variance {variance}"
        );
    }

    #[test]
    fn drift_is_continuous() {
        let key = Key::root(3, "drift");
        for n in 0..1_000 {
            let time = f64::from(n) * 0.01;
            assert!((key.drift(time) - key.drift(time + 1e-6)).abs() < 1e-4, "jump at {time}");
        }
    }

    #[test]
    fn purposes_seeds_and_steps_give_different_numbers() {
        let bits = [
            Key::root(1, "a").bits(),
            Key::root(1, "b").bits(),
            Key::root(2, "a").bits(),
            Key::root(1, "a").at(0).bits(),
            Key::root(1, "a").at(1).bits(),
        ];
        for (n, left) in bits.iter().enumerate() {
            assert!(bits[n + 1..].iter().all(|right| left != right));
        }
    }

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        assert_eq!(Key::root(7, "scenario").at(3).bits(), 11_688_161_965_849_427_840);
        let mut stream = Key::root(7, "scenario").stream();
        assert_eq!([stream.bits(), stream.bits()], [5_659_815_630_135_761_252, 17_306_478_681_199_535_455]);
    }

    #[test]
    fn choices_stay_in_range() {
        let mut stream = Key::root(4, "choice").stream();
        let mut seen = [0u32; 5];
        for _ in 0..5_000 {
            seen[stream.choice(5)] += 1;
        }
        assert!(seen.iter().all(|&n| n > 800), "{seen:?}");
        assert_eq!(stream.choice(0), 0);
    }
}
