//! From sound files to spectral frames, and from spectral frames to a sensor's features.
//!
//! - [`wav`]: reads a file of any common sample format into mono samples
//! - [`bands`]: the third-octave grid, the octave bands, the A-weighting
//! - [`analysis`]: samples to [`SpectralFrame`]s, by Welch's method
//! - [`frame`]: the spectral frame, its gain and its sums: mixing happens here, in the power domain
//! - [`features`]: a spectral frame to the fields of a reading
//! - [`library`]: a whole `UrbanSound8K` folder, analysed and sorted by class
//!
//! Mixing spectra instead of samples is what makes a long replay cheap: a data set is analysed once, and a reading then
//! costs about a microsecond, however loud the street.

pub mod analysis;
pub mod bands;
pub mod features;
pub mod frame;
pub mod library;
pub mod wav;

pub use features::{FIELDS, Features};
pub use frame::SpectralFrame;
pub use library::{Clip, Library};
