//! A wall clock that a test sets, for one process. Needs gcc.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::system::run;

const SOURCE: &str = include_str!("wrong_clock.c");

/// A wall clock that is wrong by a number of seconds. It is right at first.
#[derive(Debug)]
pub struct WrongClock {
    library: PathBuf,
    path: PathBuf,
    seconds: File,
}

impl WrongClock {
    /// Compiles the clock in a directory.
    ///
    /// # Errors
    /// Fails without gcc.
    pub fn create(directory: &Path) -> anyhow::Result<Self> {
        let file = |name: &str| directory.join(name);
        let (source, library, path) = (file("wrong_clock.c"), file("wrong_clock.so"), file("wrong_clock"));
        std::fs::write(&source, SOURCE)?;
        let (from, to) = (source.to_string_lossy(), library.to_string_lossy());
        run("gcc", &["-O2", "-shared", "-fPIC", "-o", &to, &from, "-ldl"])?;
        let clock = Self { library, seconds: File::create(&path)?, path };
        clock.set(0)?;
        Ok(clock)
    }

    /// Sets by how many seconds it is wrong. Processes that run notice at once.
    pub fn set(&self, seconds: i64) -> anyhow::Result<()> {
        Ok(self.seconds.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }

    /// Returns the environment of a process with this clock.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [("LD_PRELOAD", text(&self.library)), ("THICKET_TEST_CLOCK", text(&self.path))]
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_sees_the_time_of_its_clock() {
        let directory = tempfile::tempdir().unwrap();
        let clock = WrongClock::create(directory.path()).unwrap();
        let now = || {
            let output = Command::new("date").arg("+%s").envs(clock.environment()).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse::<i64>().unwrap()
        };
        let right = now();
        clock.set(-3_600).unwrap();
        assert!((now() - right + 3_600).abs() < 60);
    }
}
