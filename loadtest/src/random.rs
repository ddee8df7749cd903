//! Randomness as a pure function: everything synthetic derives from a [`Key`], a hash of the seed and of the place where
//! the number is needed, so that a reading does not depend on which readings were generated before it.
//!
//! Only integer arithmetic and `+ − ×` are used: the numbers are the same on every machine.

/// Names one random quantity: a seed, and the path from it to the quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// Starts a path: different purposes under the same seed are unrelated.
    pub fn root(seed: u64, purpose: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64_with_seed(purpose.as_bytes(), seed))
    }

    /// Goes one step down the path.
    #[must_use]
    pub fn at(self, step: u64) -> Self {
        Self(mix(self.0 ^ mix(step.wrapping_add(GOLDEN))))
    }

    /// The key's 64 random bits.
    pub fn bits(self) -> u64 {
        mix(self.0)
    }

    /// A number in `0 <= x < 1`.
    pub fn unit(self) -> f64 {
        to_unit(self.bits())
    }

    /// A number in `low <= x < high`.
    pub fn between(self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A number with mean 0, variance 1 and nearly the shape of a Gaussian (it never leaves ±3.47).
    pub fn gauss(self) -> f64 {
        to_gauss(self.bits())
    }

    /// One of `count` choices; 0 if there is none.
    pub fn choice(self, count: usize) -> usize {
        to_choice(self.bits(), count)
    }

    /// A stream of numbers, for where many are used in a fixed order.
    pub fn stream(self) -> Stream {
        Stream(self.0)
    }

    /// A smooth random function of `time` with mean 0 and variance about 1; it forgets itself after about one unit of time.
    pub fn drift(self, time: f64) -> f64 {
        let cell = time.floor();
        let part = time - cell;
        let weight = part * part * (3.0 - 2.0 * part);
        let left = self.at(cell as i64 as u64).gauss();
        let right = self.at(cell as i64 as u64 + 1).gauss();
        // Interpolation halves the variance midway; 1.16 restores it on average.
        1.16 * (left + (right - left) * weight)
    }
}

/// A sequence of random numbers (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Stream(u64);

impl Stream {
    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// The next number in `0 <= x < 1`.
    pub fn unit(&mut self) -> f64 {
        to_unit(self.bits())
    }

    /// The next number in `low <= x < high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// The next nearly Gaussian number, mean 0 and variance 1.
    pub fn gauss(&mut self) -> f64 {
        to_gauss(self.bits())
    }

    /// One of `count` choices; 0 if there is none.
    pub fn choice(&mut self, count: usize) -> usize {
        to_choice(self.bits(), count)
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of `SplitMix64`: every input bit reaches every output bit.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn to_unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The sum of four 16-bit uniform numbers, scaled to variance 1 (each has variance 1/12).
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
