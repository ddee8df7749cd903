//! What the command line may say.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use rrcf_rs::Sampling;

pub(crate) const HELP: &str = "\
Scores the rows of a CSV table, and writes them with their scores to the standard output.

usage: csv [OPTION]… [FILE]        reads the standard input without FILE, or if it is -

  --value COLUMN    column of values, by its name or its number from 1; several make points of several fields
                    [the first column of numbers]
  --time COLUMN     column that is kept as it stands, and labels the plot
  --no-header       the first line is a row, not names of columns
  --trees N         [100]
  --window N        points the forest remembers [256]
  --shingle N       rows that make one point of the trees [1]
  --seed N          [0]
  --sampling WHICH  what it remembers: `sliding`, `reservoir`, or `decay:RATE` [sliding]
  --svg FILE        draws the series and its scores
  --marks N         highest scores to be marked in the drawing [5]

Cells that are empty or say NA, NaN or null are missing values; the forest fills in what it would expect.
";

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Run(Options),
}

/// How a table is to be scored.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Nothing for the standard input.
    pub(crate) file: Option<PathBuf>,
    pub(crate) values: Vec<String>,
    pub(crate) time: Option<String>,
    pub(crate) header: bool,
    pub(crate) trees: usize,
    pub(crate) window: usize,
    pub(crate) shingle: usize,
    pub(crate) seed: u64,
    pub(crate) sampling: Sampling,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) marks: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            file: None,
            values: Vec::new(),
            time: None,
            header: true,
            trees: 100,
            window: 256,
            shingle: 1,
            seed: 0,
            sampling: Sampling::SlidingWindow,
            svg: None,
            marks: 5,
        }
    }
}

/// Reads the arguments behind the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut options = Options::default();
    let mut args = args.into_iter();
    let mut file: Option<OsString> = None;
    while let Some(arg) = args.next() {
        let flag = arg.to_str().filter(|arg| arg.starts_with('-') && *arg != "-");
        let Some(flag) = flag else {
            if let Some(file) = &file {
                return Err(format!("two files are given: {} and {}", file.display(), arg.display()));
            }
            file = Some(arg);
            continue;
        };
        let (flag, attached) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(OsString::from(value))),
            None => (flag, None),
        };
        if attached.is_none() {
            match flag {
                "--help" | "-h" => return Ok(Command::Help),
                "--no-header" => {
                    options.header = false;
                    continue;
                }
                _ => {}
            }
        }
        let mut value = || attached.clone().or_else(|| args.next()).ok_or(format!("{flag} needs a value"));
        match flag {
            "--value" => options.values.push(text(flag, value()?)?),
            "--time" => options.time = Some(text(flag, value()?)?),
            "--trees" => options.trees = number(flag, value()?)?,
            "--window" => options.window = number(flag, value()?)?,
            "--shingle" => options.shingle = number(flag, value()?)?,
            "--seed" => options.seed = number(flag, value()?)?,
            "--marks" => options.marks = number(flag, value()?)?,
            "--sampling" => options.sampling = sampling(&text(flag, value()?)?)?,
            "--svg" => options.svg = Some(value()?.into()),
            _ => return Err(format!("there is no option {flag}")),
        }
    }
    options.file = file.filter(|file| file != "-").map(PathBuf::from);
    Ok(Command::Run(options))
}

fn text(flag: &str, value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("{flag}: {} is not UTF-8", value.display()))
}

fn number<T: FromStr>(flag: &str, value: OsString) -> Result<T, String> {
    let value = text(flag, value)?;
    value.parse().map_err(|_| format!("{flag}: `{value}` is not a whole number of zero or more"))
}

fn sampling(value: &str) -> Result<Sampling, String> {
    match (value, value.strip_prefix("decay:").map(f64::from_str)) {
        ("sliding", _) => Ok(Sampling::SlidingWindow),
        ("reservoir", _) => Ok(Sampling::Reservoir),
        (_, Some(Ok(rate))) => Ok(Sampling::TimeDecayed { rate }),
        _ => Err(format!("--sampling: `{value}` is none of sliding, reservoir and decay:RATE")),
    }
}
