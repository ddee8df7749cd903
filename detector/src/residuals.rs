//! The residuals of all fields of a sensor: each field against its own past, and all of them
//! together.
//!
//! A forest of many fields hardly notices that a single one of them is far off. Here each field has
//! tails of its own, so its verdict does not depend on the number of fields. Of all fields
//! together: how rare is the rarest of them, how rare are they on average, how far are they off, given
//! that their residuals go together (T²), and are several of them off at once? The same questions are
//! asked of the moving means and powers, of the courses, and of the relations.

use serde::{Deserialize, Serialize};

use crate::caution::LearningPace;
use crate::course::COURSE_MEASURES;
use crate::field_models::{Coordinates, FIELD_MEASURES, FieldModels, RELATION};
use crate::forecast::{FORECAST_MEASURES, logarithm};
use crate::tail::Tail;

/// Scales the mean rarity of all fields to about the size of the other measures, because all
/// histograms have the same bin width.
const MEAN_UNIT: f64 = 4.0;
/// The coincidence is that of the fields with the greatest residuals, without the first.
const RANKS: usize = 3;

/// The forecasts of all fields, and the pasts of their residuals.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Residuals {
    models: FieldModels,
    /// During [caution](crate::caution), the models as they would be without it. The pasts learn
    /// their measures.
    adapted: Option<Box<FieldModels>>,
    /// The pasts of each field's measures, [`FIELD_MEASURES`] each. Empty with one field.
    pasts: Vec<Tail>,
    #[serde(skip)]
    last: LastReading,
    /// What the adapted models say of it, if there are any.
    #[serde(skip)]
    adapted_last: LastReading,
}

/// What the models say of the last reading, in the same order as the pasts.
#[derive(Clone, Debug, Default, PartialEq)]
struct LastReading {
    measures: Vec<f64>,
    rarities: Vec<f64>,
    /// Sizes of the residuals. Empty with one field.
    sizes: Vec<f64>,
}

impl Residuals {
    /// Creates the forecasts of fields that start at these coordinates.
    pub(crate) fn new(first: impl Iterator<Item = f64>) -> Self {
        let models = FieldModels::new(first);
        let pasts =
            if models.len() > 1 { vec![Tail::default(); FIELD_MEASURES * models.len()] } else { Vec::new() };
        Self { models, pasts, ..Self::default() }
    }

    /// Compares a reading with the forecasts, and adds its measures to `measures`: as many as the
    /// [views](crate::surprise::views) without the level have. During caution, adds those that the
    /// pasts learn to `to_learn`.
    pub(crate) fn follow(
        &mut self,
        reading: Coordinates<'_>,
        pace: LearningPace,
        measures: &mut Vec<f64>,
        to_learn: &mut Vec<f64>,
    ) {
        let Self { models, adapted, pasts, last, adapted_last } = self;
        match (pace, adapted.take()) {
            (LearningPace::Cautious, None) => *adapted = Some(Box::new(models.clone())),
            (LearningPace::Cautious, copy) => *adapted = copy,
            (LearningPace::Full, Some(copy)) => *models = *copy,
            (LearningPace::Full, None) | (LearningPace::Slow, _) => {}
        }
        last.observe(models, reading, pasts, measures);
        if let Some(models) = adapted {
            adapted_last.observe(models, reading, pasts, to_learn);
        }
    }

    /// Adds the last reading to the forecasts' lags, and learns it if `learn` is true. The adapted
    /// models learn each reading. `rate` is its weight in the running means.
    pub(crate) fn advance(&mut self, imputed: &[bool], learn: bool, rate: f64) {
        self.models.advance(imputed, learn, rate);
        if let Some(models) = &mut self.adapted {
            models.advance(imputed, true, rate);
        }
    }

    /// Adds the measures of the last reading to the fields' pasts.
    pub(crate) fn learn_pasts(&mut self, imputed: &[bool]) {
        let last = if self.adapted.is_some() { &self.adapted_last } else { &self.last };
        let fields = self.pasts.chunks_mut(FIELD_MEASURES).zip(last.measures.chunks(FIELD_MEASURES));
        for ((pasts, measures), _) in fields.zip(imputed).filter(|(_, imputed)| !**imputed) {
            pasts.iter_mut().zip(measures).for_each(|(past, &value)| past.learn(value));
        }
    }

    /// Takes over what is known of the fields that stay, also during caution. `sources` has the index
    /// of each field in `known`.
    pub(crate) fn take_over(&mut self, known: &mut Self, sources: &[Option<usize>]) {
        if let Some(known) = &mut known.adapted {
            self.adapted.get_or_insert_with(|| Box::new(self.models.clone())).take_over(known, sources);
        }
        self.models.take_over(&mut known.models, sources);
        for (field, source) in sources.iter().enumerate() {
            let Some(index) = *source else { continue };
            let own = self.pasts.chunks_mut(FIELD_MEASURES).nth(field);
            let other = known.pasts.chunks_mut(FIELD_MEASURES).nth(index);
            if let (Some(own), Some(other)) = (own, other) {
                own.swap_with_slice(other);
            }
        }
    }

    /// Returns the greatest rarity of each field's measures of the last reading. Empty with one
    /// field.
    pub(crate) fn field_rarities(&self) -> impl Iterator<Item = f64> {
        self.last.rarities.chunks(FIELD_MEASURES).map(|of_field| of_field.iter().copied().fold(0.0, f64::max))
    }

    /// Returns whether these residuals fit a sensor with this many fields.
    pub(crate) fn is_sound(&self, fields: usize) -> bool {
        let pasts = if fields > 1 { FIELD_MEASURES * fields } else { 0 };
        self.models.is_sound(fields)
            && self.adapted.as_ref().is_none_or(|models| models.is_sound(fields))
            && self.pasts.len() == pasts
            && self.pasts.iter().all(Tail::is_sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let adapted = self.adapted.as_ref();
        self.models.memory_usage()
            + adapted.map_or(0, |models| size_of::<FieldModels>() + models.memory_usage())
            + self.pasts.capacity() * size_of::<Tail>()
            + self.pasts.iter().map(Tail::memory_usage).sum::<usize>()
            + self.last.memory_usage()
            + self.adapted_last.memory_usage()
    }
}

impl LastReading {
    /// Compares a reading with the models, and adds the measures of all fields together. With one
    /// field, they are its own.
    fn observe(
        &mut self,
        models: &mut FieldModels,
        reading: Coordinates<'_>,
        pasts: &[Tail],
        measures: &mut Vec<f64>,
    ) {
        let imputed = reading.imputed;
        self.measures.clear();
        models.follow(reading, &mut self.measures);
        if models.len() == 1 {
            measures.extend(&self.measures);
            return;
        }
        // The pasts of many fields do not tell signs apart.
        self.measures.iter_mut().for_each(|measure| *measure = measure.abs());
        self.rarities.clear();
        self.rarities.extend(pasts.iter().zip(&self.measures).map(|(past, &value)| past.rarity(value)));
        // A missing value says nothing.
        for (rarities, &imputed) in self.rarities.chunks_mut(FIELD_MEASURES).zip(imputed) {
            if imputed {
                rarities.fill(0.0);
            }
        }
        let count = models.len() as f64;
        let root = count.sqrt();
        let of = |measure: usize| self.rarities.iter().skip(measure).step_by(FIELD_MEASURES).copied();
        let greatest = |measure: usize| of(measure).fold(0.0, f64::max);
        let mean = |measure: usize| of(measure).sum::<f64>() / count;
        measures.extend([greatest(0), MEAN_UNIT * mean(0), logarithm(models.joint() / root)]);
        let lasting = MEAN_UNIT * f64::midpoint(mean(1), mean(2));
        let joint_drift = logarithm(models.joint_drift(imputed) / root);
        measures.extend([greatest(1).max(greatest(2)), lasting, joint_drift]);
        let of_course = |most: f64, measure: usize| most.max(greatest(FORECAST_MEASURES + measure));
        let greatest_course = (0..COURSE_MEASURES).fold(0.0, of_course);
        let mean_course = (0..COURSE_MEASURES).map(|measure| mean(FORECAST_MEASURES + measure)).sum::<f64>();
        measures.extend([greatest_course, MEAN_UNIT / COURSE_MEASURES as f64 * mean_course]);
        measures.extend([greatest(RELATION), MEAN_UNIT * mean(RELATION)]);
        // Two fields that are off at once.
        let sizes = &mut self.sizes;
        sizes.clear();
        sizes.extend(models.residuals().iter().map(|residual| residual.abs()));
        let ranks = sizes.len().min(RANKS);
        sizes.select_nth_unstable_by(ranks - 1, |a, b| b.total_cmp(a));
        sizes[..ranks].sort_by(|a, b| b.total_cmp(a));
        let others = &sizes[1..ranks];
        measures.push(others.iter().map(|&size| logarithm(size)).sum::<f64>() / others.len() as f64);
    }

    fn memory_usage(&self) -> usize {
        let numbers = self.measures.capacity() + self.rarities.capacity() + self.sizes.capacity();
        numbers * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::Scale;

    /// The measures of a reading, by name.
    struct Measured {
        field: f64,
        mean: f64,
        joint: f64,
        coincidence: f64,
    }

    const PRESENT: [bool; 3] = [false; 3];

    fn observe(residuals: &mut Residuals, values: [f64; 3], imputed: [bool; 3]) -> Measured {
        let scales: Vec<Scale> = (0..3).map(|_| Scale::calibrate(&[-0.5, 0.5, 0.0, 0.25])).collect();
        let mut measures = Vec::new();
        let reading =
            Coordinates { of_fields: &values, imputed: &imputed, scales: &scales, after_silence: false };
        residuals.follow(reading, LearningPace::Full, &mut measures, &mut Vec::new());
        let [field, mean, joint, .., coincidence] = measures[..] else { panic!("{measures:?}") };
        Measured { field, mean, joint, coincidence }
    }

    fn learnt() -> Residuals {
        let mut residuals = Residuals::new([0.0; 3].into_iter());
        let mut noise = crate::noise::Noise::new(7);
        for i in 0_u32..5_000 {
            observe(&mut residuals, [0; 3].map(|_| noise.uniform() - 0.5), PRESENT);
            residuals.advance(&PRESENT, true, 1.0 / f64::from(i.clamp(16, 2_000)));
            residuals.learn_pasts(&PRESENT);
        }
        residuals
    }

    #[test]
    fn one_field_that_is_off_shows_in_field_and_joint_and_not_in_the_coincidence() {
        let usual = observe(&mut learnt(), [0.1, -0.1, 0.05], PRESENT);
        let one = observe(&mut learnt(), [5.0, -0.1, 0.05], PRESENT);
        assert!(one.field > usual.field + 3.0 && one.joint > usual.joint + 2.0);
        assert!((one.coincidence - usual.coincidence).abs() < 0.5);
        let all = observe(&mut learnt(), [5.0, -5.0, 5.0], PRESENT);
        assert!(all.coincidence > one.coincidence + 3.0 && all.mean > 2.0 * one.mean);
    }

    #[test]
    fn a_missing_field_says_nothing() {
        let mut residuals = learnt();
        observe(&mut residuals, [5.0, 0.0, 0.0], PRESENT);
        let missing = observe(&mut residuals, [5.0, 0.0, 0.0], [true, false, false]);
        let usual = observe(&mut learnt(), [0.0; 3], PRESENT);
        assert!(missing.field <= usual.field + 0.5, "{} {}", missing.field, usual.field);
        assert_eq!(residuals.field_rarities().next(), Some(0.0));
    }

    #[test]
    fn a_silence_restarts_the_forecasts() {
        let mut residuals = learnt();
        observe(&mut residuals, [5.0, 0.0, 0.0], PRESENT);
        residuals.advance(&PRESENT, false, 0.0);
        let scales: Vec<Scale> = (0..3).map(|_| Scale::calibrate(&[-0.5, 0.5, 0.0, 0.25])).collect();
        let drift_after = |silence: bool| {
            let mut residuals = residuals.clone();
            let mut measures = Vec::new();
            let reading = Coordinates {
                of_fields: &[0.0; 3],
                imputed: &PRESENT,
                scales: &scales,
                after_silence: silence,
            };
            residuals.follow(reading, LearningPace::Full, &mut measures, &mut Vec::new());
            residuals.last.measures[1]
        };
        assert!(drift_after(true).abs() < 0.5 * drift_after(false).abs());
    }

    #[test]
    fn during_caution_the_pasts_learn_what_they_would_learn_without_it() {
        let (mut cautious, mut other) = (learnt(), learnt());
        let scales: Vec<Scale> = (0..3).map(|_| Scale::calibrate(&[-0.5, 0.5, 0.0, 0.25])).collect();
        let mut noise = crate::noise::Noise::new(11);
        let mut step = |residuals: [&mut Residuals; 2], paces: [LearningPace; 2]| {
            let values = [0; 3].map(|_| 2.0 * noise.uniform() - 1.0);
            for (residuals, pace) in residuals.into_iter().zip(paces) {
                let reading = Coordinates {
                    of_fields: &values,
                    imputed: &PRESENT,
                    scales: &scales,
                    after_silence: false,
                };
                residuals.follow(reading, pace, &mut Vec::new(), &mut Vec::new());
                residuals.advance(&PRESENT, pace == LearningPace::Full, 0.01);
                residuals.learn_pasts(&PRESENT);
            }
        };
        for _ in 0..500 {
            step([&mut cautious, &mut other], [LearningPace::Cautious, LearningPace::Full]);
        }
        assert!(cautious.pasts == other.pasts);
        let unrest = |residuals: &Residuals| residuals.last.measures[2];
        assert!(unrest(&cautious) > unrest(&other) + 0.3, "{} {}", unrest(&cautious), unrest(&other));

        step([&mut cautious, &mut other], [LearningPace::Full; 2]);
        assert!(cautious.models == other.models, "after caution, the adapted models take their place");
        assert!(cautious.adapted.is_none());
    }

    #[test]
    fn fields_that_stay_keep_both_models_of_caution() {
        let follow = |residuals: &mut Residuals, value: f64, pace: LearningPace| {
            let scales: Vec<Scale> = (0..3).map(|_| Scale::calibrate(&[-0.5, 0.5, 0.0, 0.25])).collect();
            let of_fields = [value, -value, 0.5 * value];
            let reading = Coordinates {
                of_fields: &of_fields,
                imputed: &PRESENT,
                scales: &scales,
                after_silence: false,
            };
            let (mut measures, mut to_learn) = (Vec::new(), Vec::new());
            residuals.follow(reading, pace, &mut measures, &mut to_learn);
            residuals.advance(&PRESENT, false, 0.01);
            (measures, to_learn)
        };
        let mut known = learnt();
        let mut noise = crate::noise::Noise::new(11);
        for _ in 0..100 {
            follow(&mut known, 2.0 * noise.uniform() - 1.0, LearningPace::Cautious);
        }
        let mut new = Residuals::new([0.0; 3].into_iter());
        new.take_over(&mut known.clone(), &[Some(0), Some(1), Some(2)]);
        let (measures, to_learn) = follow(&mut known, 1.0, LearningPace::Cautious);
        let found = follow(&mut new, 1.0, LearningPace::Cautious);
        // The covariance is factored anew.
        let are_close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.1);
        assert!(are_close(&found.0, &measures) && are_close(&found.1, &to_learn));
        assert!(!are_close(&measures, &to_learn));
    }
}
