//! Plans the clips of a data set: recordings, slices, folds and saliences.

use crate::{
    random::{Key, Stream},
    sound_class::SoundClass,
};

/// A clip: its row in the table, and the random keys of its sound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClipPlan {
    pub(super) class: SoundClass,
    /// The recording from which the clip is cut. All clips of a recording are in one fold.
    pub(super) recording: u32,
    pub(super) occurrence: u32,
    pub(super) slice: u32,
    /// 1 to 10.
    pub(super) fold: u8,
    /// 1: foreground, 2: background.
    pub(super) salience: u8,
    /// The start of the clip in its recording, in seconds.
    pub(super) start: f64,
    /// The length in seconds, at most 4.
    pub(super) seconds: f64,
    pub(super) recording_key: Key,
    pub(super) slice_key: Key,
}

impl ClipPlan {
    /// Returns the file name `[fsID]-[classID]-[occurrenceID]-[sliceID].wav`.
    pub(super) fn file_name(&self) -> String {
        format!("{}-{}-{}-{}.wav", self.recording, self.class.id(), self.occurrence, self.slice)
    }

    /// Returns the clip's row in `UrbanSound8K.csv`.
    pub(super) fn csv_row(&self) -> String {
        let end = round_micros(self.start + self.seconds);
        format!(
            "{},{},{:?},{:?},{},{},{},{}",
            self.file_name(),
            self.recording,
            self.start,
            end,
            self.salience,
            self.fold,
            self.class.id(),
            self.class.name()
        )
    }
}

/// Plans `clips_per_class` clips of every class, by class and recording.
pub(super) fn plan_clips(seed: u64, clips_per_class: u32) -> Vec<ClipPlan> {
    let mut plans = Vec::new();
    let mut recording = 100_000;
    for class in SoundClass::ALL {
        let key = Key::root(seed, "synth").at(u64::from(class.id()));
        let mut stream = key.stream();
        let mut made = 0;
        let mut recordings = 0u32;
        while made < clips_per_class {
            recording += 1 + stream.choice(97) as u32;
            let slices = (1 + stream.choice(3) as u32).min(clips_per_class - made);
            let recording_key = key.at(u64::from(recordings));
            // The folds take turns, shifted by class, so that even a small data set has clips in
            // every fold.
            let fold = 1 + ((recordings + u32::from(class.id())) % 10) as u8;
            // The first recording of a class is always in the foreground: a scenario takes its
            // events from the foreground.
            let salience = if stream.unit() < 0.75 || recordings == 0 { 1 } else { 2 };
            let parent = Recording { class, id: recording, fold, salience, key: recording_key };
            plans.extend(parent.cut(slices, &mut stream));
            made += slices;
            recordings += 1;
        }
    }
    plans
}

/// An imaginary recording, from which clips are cut.
struct Recording {
    class: SoundClass,
    id: u32,
    fold: u8,
    salience: u8,
    key: Key,
}

impl Recording {
    fn cut(&self, slices: u32, stream: &mut Stream) -> Vec<ClipPlan> {
        let occurrence = stream.choice(3) as u32;
        let mut start = stream.between(0.0, 40.0);
        (0..slices)
            .map(|slice| {
                let seconds = round_micros(clip_seconds(self.class, stream));
                let clip = ClipPlan {
                    class: self.class,
                    recording: self.id,
                    occurrence,
                    slice,
                    fold: self.fold,
                    salience: self.salience,
                    start: round_micros(start),
                    seconds,
                    recording_key: self.key,
                    slice_key: self.key.at(u64::from(slice)),
                };
                // In the genuine data set, the clips of a long sound start every two seconds.
                start += if seconds < 4.0 { seconds + stream.between(0.5, 5.0) } else { 2.0 };
                clip
            })
            .collect()
    }
}

/// Returns the length of a clip of the class in seconds. Clips of brief sounds are shorter than the
/// limit of 4 seconds.
fn clip_seconds(class: SoundClass, stream: &mut Stream) -> f64 {
    match class {
        SoundClass::GunShot => stream.between(0.8, 2.5),
        SoundClass::DogBark => stream.between(0.6, 4.0),
        SoundClass::CarHorn => stream.between(1.0, 4.0),
        _ => 4.0,
    }
}

fn round_micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn every_class_has_the_asked_number_of_clips_under_distinct_names() {
        let plans = plan_clips(1, 12);
        assert_eq!(plans.len(), 120);
        for class in SoundClass::ALL {
            assert_eq!(plans.iter().filter(|clip| clip.class == class).count(), 12, "{class}");
            assert!(plans.iter().any(|clip| clip.class == class && clip.salience == 1), "{class}");
        }
        let names: HashSet<String> = plans.iter().map(ClipPlan::file_name).collect();
        assert_eq!(names.len(), plans.len());
    }

    #[test]
    fn a_recording_lies_in_one_fold_and_no_fold_is_empty() {
        let plans = plan_clips(2, 12);
        let mut fold_of = HashMap::new();
        for clip in &plans {
            assert!((1..=10).contains(&clip.fold));
            assert_eq!(*fold_of.entry(clip.recording).or_insert(clip.fold), clip.fold);
            assert!(clip.seconds > 0.5 && clip.seconds <= 4.0);
        }
        assert_eq!(plans.iter().map(|clip| clip.fold).collect::<HashSet<_>>().len(), 10);
    }

    #[test]
    fn rows_have_the_columns_of_the_data_set() {
        let mut plan = plan_clips(1, 1).remove(3);
        plan.recording = 100_032;
        plan.occurrence = 0;
        (plan.start, plan.seconds, plan.fold, plan.salience) = (0.0, 0.317_551, 5, 1);
        assert_eq!(plan.csv_row(), "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark");
    }
}
