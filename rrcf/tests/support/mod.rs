//! Reading, running and comparing reference cases. The test and the example `reference` share this
//! module.

#![allow(unreachable_pub, dead_code, reason = "compiled into two programs that each use a part")]

use std::fmt;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use rrcf_rs::Forest;

/// Minimum number of points with varying scores for which the means over a case are judged.
const ENOUGH: usize = 30;

/// One reference case, in the format of its file.
#[derive(serde::Deserialize)]
pub struct Case {
    #[serde(rename = "case")]
    pub name: String,
    window: usize,
    dimensions: usize,
    points: Vec<Vec<f32>>,
    codisp_mean: Vec<f64>,
    codisp_standard_error: Vec<f64>,
}

/// The comparison of a forest with a case, over all points.
pub struct Comparison {
    pub points: usize,
    /// Number of points whose score varies from tree to tree. Only these have a z.
    pub varying: usize,
    pub largest_z: f64,
    pub mean_z: f64,
    pub mean_square_z: f64,
    /// Number of points with different values and no spread on either side.
    pub unequal: usize,
}

impl Case {
    /// Reads and checks a case. The error says what is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let case: Self =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        case.check().map_err(|problem| format!("{}: {problem}", path.display()))?;
        Ok(case)
    }

    /// Returns an error if the case cannot be run.
    fn check(&self) -> Result<(), String> {
        let points = self.points.len();
        if points == 0 || self.codisp_mean.len() != points || self.codisp_standard_error.len() != points {
            return Err(
                "the file needs at least one point, and a mean and a standard error for each".to_owned()
            );
        }
        let mut forest = Forest::builder(self.dimensions).trees(1).window(self.window).build();
        let forest = forest.as_mut().map_err(|error| error.to_string())?;
        for (n, point) in self.points.iter().enumerate() {
            forest.update(point).map_err(|error| format!("point {n}: {error}"))?;
        }
        Ok(())
    }

    /// Multiplies all expected scores, which makes a case that no correct forest agrees with.
    pub fn distort(&mut self, factor: f64) {
        for expected in &mut self.codisp_mean {
            *expected *= factor;
        }
    }

    /// Returns the raw series of a case whose points are shingles, to let the forest form the
    /// shingles.
    pub fn raw_series(&self) -> Vec<Vec<f32>> {
        let first = self.points[0].iter().take(self.dimensions - 1);
        let last = self.points.iter().map(|point| &point[self.dimensions - 1]);
        first.chain(last).map(|&value| vec![value]).collect()
    }

    /// Runs `trees` independent trees over the points and compares the scores.
    pub fn compare(&self, trees: usize) -> Comparison {
        self.compare_fed(trees, &self.points, 1)
    }

    /// Does the same as [`Case::compare`], but feeds the points of `raw`, from which the forest
    /// forms shingles.
    pub fn compare_fed(&self, trees: usize, raw: &[Vec<f32>], shingle: usize) -> Comparison {
        let sums = self.sums_of_trees(trees, raw, shingle);
        let trees = trees as f64;
        let expected = self.codisp_mean.iter().zip(&self.codisp_standard_error);
        let mut comparison = Comparison {
            points: self.points.len(),
            varying: 0,
            largest_z: 0.0,
            mean_z: 0.0,
            mean_square_z: 0.0,
            unequal: 0,
        };
        for (&(sum, squares), (&expected, &expected_error)) in sums.iter().zip(expected) {
            let mean = sum / trees;
            let variance = ((squares - sum * mean) / (trees - 1.0)).max(0.0);
            let error = (expected_error * expected_error + variance / trees).sqrt();
            // Sums of equal values have a small rounding error, although their spread is zero.
            let spread = error > 1e-9 * (1.0 + expected);
            if spread {
                let z = (mean - expected) / error;
                comparison.largest_z = comparison.largest_z.max(z.abs());
                comparison.varying += 1;
                comparison.mean_z += z;
                comparison.mean_square_z += z * z;
            } else if (mean - expected).abs() > 1e-6 {
                comparison.unequal += 1;
            }
        }
        let varying = comparison.varying.max(1) as f64;
        comparison.mean_z /= varying;
        comparison.mean_square_z /= varying;
        comparison
    }

    /// Returns for every point the sum of the trees' scores, and the sum of their squares.
    fn sums_of_trees(&self, trees: usize, raw: &[Vec<f32>], shingle: usize) -> Vec<(f64, f64)> {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let mut totals = vec![(0.0, 0.0); self.points.len()];
        thread::scope(|scope| {
            let running: Vec<_> = (0..workers)
                .map(|worker| {
                    let seeds = (worker..trees).step_by(workers);
                    scope.spawn(move || self.sums_of_seeds(seeds, raw, shingle))
                })
                .collect();
            for worker in running {
                let sums = worker.join().expect("a tree panicked");
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = (total.0 + sum.0, total.1 + sum.1);
                }
            }
        });
        totals
    }

    fn sums_of_seeds(
        &self,
        seeds: impl Iterator<Item = usize>,
        raw: &[Vec<f32>],
        shingle: usize,
    ) -> Vec<(f64, f64)> {
        let mut sums = vec![(0.0, 0.0); self.points.len()];
        for seed in seeds {
            let mut tree = Forest::builder(raw[0].len())
                .trees(1)
                .window(self.window)
                .shingle(shingle)
                .seed(seed as u64)
                .build()
                .expect("the sizes were checked");
            let (before, scored) = raw.split_at(shingle - 1);
            for point in before {
                tree.update(point).expect("the points were checked");
            }
            for (sum, point) in sums.iter_mut().zip(scored) {
                let codisp = tree.update(point).expect("the points were checked").codisp;
                *sum = (sum.0 + codisp, sum.1 + codisp * codisp);
            }
        }
        sums
    }
}

impl Comparison {
    /// Returns whether the forest agrees with the case.
    ///
    /// The means are judged if at least [`ENOUGH`] points vary. With fewer points, all z depend on
    /// the same one or two cuts. They are then one draw instead of a sample, and only their size is
    /// judged.
    pub fn agrees(&self) -> bool {
        let few = self.varying < ENOUGH;
        let unbiased = self.mean_z.abs() < 0.7 && (0.5..=1.7).contains(&self.mean_square_z);
        self.unequal == 0 && self.largest_z < 5.5 && (few || unbiased)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} points, {} varying, largest |z| {:.2}, mean z {:+.3}, mean z² {:.3}",
            self.points, self.varying, self.largest_z, self.mean_z, self.mean_square_z
        )?;
        if self.unequal > 0 {
            write!(f, ", {} unequal without spread", self.unequal)?;
        }
        Ok(())
    }
}
