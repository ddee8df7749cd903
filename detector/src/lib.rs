//! The pure core of a Thicket detector: a reading in, a detection out, no I/O and no clock
