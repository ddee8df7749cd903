//! Quantiles with linear interpolation, as numpy computes them, and rounding.

/// Returns the value below which the given share of the values lies. Between two values, it is
/// interpolated linearly. `sorted` must rise and have at least one value.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at.floor();
    let (low, high) = (sorted[below as usize], sorted[at.ceil() as usize]);
    let part = at - below;
    // The form depends on the half, so that the result is exact at both ends.
    if part < 0.5 { low + (high - low) * part } else { high - (high - low) * (1.0 - part) }
}

/// Returns `count` numbers from `first` to `last`, each the same multiple of the one before.
pub fn geometric(first: f64, last: f64, count: usize) -> Vec<f64> {
    let (begin, end) = (libm::log10(first), libm::log10(last));
    let step = (end - begin) / (count - 1) as f64;
    let mut numbers: Vec<f64> =
        (0..count).map(|number| libm::pow(10.0, begin + number as f64 * step)).collect();
    numbers[0] = first;
    numbers[count - 1] = last;
    numbers
}

/// Returns the median, which is the mean of the middle two of an even number of values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// Rounds a figure. `None`, which is null in JSON, if it is not a number.
pub fn rounded(figure: f64, decimals: i32) -> Option<f64> {
    let scale = 10_f64.powi(decimals);
    figure.is_finite().then(|| (figure * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_values_a_quantile_is_interpolated() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.0, 1.0), (0.5, 3.0), (0.75, 5.0), (0.9, 6.8), (1.0, 8.0)] {
            assert!((quantile(&sorted, share) - expected).abs() < 1e-12, "{share}");
        }
        assert!((quantile(&[7.0], 0.3) - 7.0).abs() < 1e-12);
    }

    #[test]
    fn a_geometric_series_has_equal_ratios_and_exact_ends() {
        let numbers = geometric(1e-5, 0.2, 60);
        assert_eq!((numbers[0], numbers[59]), (1e-5, 0.2));
        // From numpy.geomspace(1e-5, 0.2, 60).
        assert!((numbers[30] - 0.001_538_028_576_015_144_5).abs() < 1e-15);
        assert_eq!(geometric(1.0, 100.0, 3), [1.0, 10.0, 100.0]);
    }

    #[test]
    fn the_median_of_an_even_number_of_values_is_between_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 8.0]), 3.0);
    }
}
