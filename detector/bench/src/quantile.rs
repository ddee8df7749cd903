//! Quantiles with linear interpolation, as numpy computes them.

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
