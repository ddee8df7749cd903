//! Turns sound files into spectral frames, and spectral frames into the features of a sensor.
//!
//! - [`wav`]: reads a file of any common sample format into mono samples
//! - [`bands`]: the third-octave and octave bands, and the A-weighting
//! - [`analysis`]: computes [`SpectralFrame`]s from samples, by Welch's method
//! - [`frame`]: the spectral frame; mixes frames by adding powers
//! - [`features`]: computes the fields of a reading from a spectral frame
//! - [`library`]: a whole `UrbanSound8K` folder, analysed and sorted by class
//!
//! Mixing spectra instead of samples makes a long replay cheap: a data set is analysed once, and
//! each reading then takes about a microsecond.

pub mod analysis;
pub mod bands;
pub mod features;
pub mod frame;
pub mod library;
pub mod wav;

pub use features::{FIELDS, Features};
pub use frame::SpectralFrame;
pub use library::{Clip, Library};
