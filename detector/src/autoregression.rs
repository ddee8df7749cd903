//! The Levinson–Durbin recursion: from the autocovariances of a series to the coefficients of its
//! autoregressive forecast.

/// Upper bound of a partial correlation. With 1, the residuals would have no size.
const MOST_CORRELATED: f64 = 0.999_999;

/// The coefficients of a forecast from the last `LAGS` values, the newest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Autoregression<const LAGS: usize> {
    pub(crate) coefficients: [f64; LAGS],
    /// Partial autocorrelations: the forecast of every lower order follows from them.
    pub(crate) partial: [f64; LAGS],
}

impl<const LAGS: usize> Autoregression<LAGS> {
    /// Computes the coefficients from the autocovariances of the lags 0 to `LAGS`. They are 0 for a
    /// series that does not vary.
    pub(crate) fn new(covariances: &[f64]) -> Self {
        let mut fitted = Self { coefficients: [0.0; LAGS], partial: [0.0; LAGS] };
        let mut power = covariances[0];
        for k in 0..LAGS {
            if power <= 0.0 {
                break;
            }
            let known: f64 = (0..k).map(|j| fitted.coefficients[j] * covariances[k - j]).sum();
            let partial = ((covariances[k + 1] - known) / power).clamp(-MOST_CORRELATED, MOST_CORRELATED);
            fitted.partial[k] = partial;
            extend(&mut fitted.coefficients, k, partial);
            power *= 1.0 - partial * partial;
        }
        fitted
    }
}

/// Extends the coefficients of order `k` to order `k + 1` by the next partial correlation.
pub(crate) fn extend<const LAGS: usize>(coefficients: &mut [f64; LAGS], k: usize, partial: f64) {
    let before = *coefficients;
    for j in 0..k {
        coefficients[j] = before[j] - partial * before[k - 1 - j];
    }
    coefficients[k] = partial;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coefficients_of_known_autoregressions_come_back() {
        // x = 0.8 x₁ + noise has the autocovariances 0.8^k.
        let first: Vec<f64> = (0..5).map(|lag| libm::pow(0.8, f64::from(lag))).collect();
        let fitted = Autoregression::<4>::new(&first);
        for (found, expected) in fitted.coefficients.iter().zip([0.8, 0.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-12, "{fitted:?}");
        }
        // x = 1.6 x₁ − 0.9 x₂ + noise: c₁ = 1.6 / 1.9, c₂ = 1.6 c₁ − 0.9, and so on.
        let mut second = vec![1.0, 1.6 / 1.9];
        for lag in 2..5 {
            second.push(1.6 * second[lag - 1] - 0.9 * second[lag - 2]);
        }
        let fitted = Autoregression::<4>::new(&second);
        for (found, expected) in fitted.coefficients.iter().zip([1.6, -0.9, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-9, "{fitted:?}");
        }
    }

    #[test]
    fn a_series_that_does_not_vary_has_no_coefficients() {
        assert_eq!(Autoregression::<4>::new(&[0.0; 5]).coefficients, [0.0; 4]);
    }
}
