//! The file of an export: a `tar.gz` that people can look into.
//!
//! | member | holds |
//! |---|---|
//! | `manifest.json` | version, tables, days |
//! | `thicket.toml` | the configuration, without addresses and secrets |
//! | `tables/NAME/000000` … | the rows of a table, in parts of `COPY … (FORMAT binary)` |
//! | `redis/000000` … | keys of Redis with their values, postcard |
//! | `end.json` | the digest and the number of rows; an archive without it is not complete |

use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use thicket_store::redis::KeyDump;

use crate::partial_file::PartialFile;

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const CONFIGURATION: &str = "thicket.toml";
pub(super) const END: &str = "end.json";
const TABLES: &str = "tables/";
const REDIS: &str = "redis/";

/// The bytes of rows in a member.
const PART_BYTES: usize = 4 << 20;
/// A member of an archive is not larger, so that a damaged one cannot take all memory. An export
/// writes at most 16 MB of keys and one more value of Redis, which has at most 512 MB.
const MOST_BYTES: u64 = 1 << 30;

/// Writes an archive.
pub(super) struct ArchiveWriter {
    builder: tar::Builder<GzEncoder<BufWriter<File>>>,
    file: PartialFile,
    keys: u32,
}

impl ArchiveWriter {
    /// Begins an archive. Only the user may read it: it holds every row.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            bail!("{} exists already; name a new file", path.display());
        }
        let (partial, file) = PartialFile::create(path, 0o600)?;
        let compressed = GzEncoder::new(BufWriter::new(file), Compression::fast());
        Ok(Self { builder: tar::Builder::new(compressed), file: partial, keys: 0 })
    }

    /// Adds a member.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        let added = self.builder.append_data(&mut header, name, bytes);
        added.with_context(|| format!("cannot write {}", self.file.partial().display()))
    }

    /// Adds a member with JSON.
    pub(super) fn add_json(&mut self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        self.add(name, &serde_json::to_vec_pretty(value)?)
    }

    /// Adds keys of Redis.
    pub(super) fn add_keys(&mut self, keys: &[KeyDump]) -> anyhow::Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let name = format!("{REDIS}{:06}", self.keys);
        self.keys += 1;
        self.add(&name, &postcard::to_allocvec(keys)?)
    }

    /// Ends the archive, and gives it its name once it is on disk.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self { builder, file, .. } = self;
        let write = || {
            let buffered = builder.into_inner()?.finish()?;
            file.finish(&buffered.into_inner().map_err(std::io::IntoInnerError::into_error)?)
        };
        write().with_context(|| format!("cannot write {}", file.path().display()))
    }
}

/// Collects the rows of a table into members.
pub(super) struct Parts<'a> {
    archive: &'a mut ArchiveWriter,
    table: &'a str,
    buffer: Vec<u8>,
    count: u32,
}

impl<'a> Parts<'a> {
    pub(super) fn new(archive: &'a mut ArchiveWriter, table: &'a str) -> Self {
        Self { archive, table, buffer: Vec::new(), count: 0 }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the rest.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let name = format!("{TABLES}{}/{:06}", self.table, self.count);
        self.count += 1;
        self.archive.add(&name, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// A member of an archive.
pub(super) enum Member {
    Manifest(Vec<u8>),
    Configuration(Vec<u8>),
    /// A part of a table's rows, with the table's name.
    Rows(String, Vec<u8>),
    Keys(Vec<KeyDump>),
    End(Vec<u8>),
}

/// How much of an archive has been read.
#[derive(Clone, Debug)]
pub(super) struct Position {
    path: PathBuf,
    bytes: u64,
    read: Arc<AtomicU64>,
}

impl Position {
    /// Returns the bytes that have been read. A buffer may still hold the last of them.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Returns how much of the file has been read, from 0 to 100.
    pub(super) fn percent(&self) -> u64 {
        self.read() * 100 / self.bytes.max(1)
    }

    /// Returns the error of a file that is damaged, or ends too early, in this member.
    pub(super) fn damaged(&self, member: &str) -> String {
        format!(
            "{} is damaged or not complete before byte {} of {}, in {member}; copy it again, or export again",
            self.path.display(),
            self.read(),
            self.bytes
        )
    }
}

/// A file that counts what is read.
pub(super) struct Counted(File, Arc<AtomicU64>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The members of an archive.
pub(super) type Archive = tar::Archive<GzDecoder<BufReader<Counted>>>;

/// Opens an archive.
pub(super) fn open(path: &Path) -> anyhow::Result<(Archive, Position)> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (bytes, file) = opened.with_context(|| format!("cannot read {}", path.display()))?;
    let read = Arc::new(AtomicU64::new(0));
    let position = Position { path: path.to_owned(), bytes, read: Arc::clone(&read) };
    Ok((tar::Archive::new(GzDecoder::new(BufReader::new(Counted(file, read)))), position))
}

/// Reads a member.
pub(super) fn read(mut entry: tar::Entry<'_, impl Read>) -> anyhow::Result<Member> {
    let name = entry.path()?.to_string_lossy().into_owned();
    if entry.size() > MOST_BYTES {
        bail!("{name} has {} bytes", entry.size());
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    let table = || name.strip_prefix(TABLES)?.split_once('/').map(|(table, _)| table.to_owned());
    Ok(match name.as_str() {
        MANIFEST => Member::Manifest(bytes),
        CONFIGURATION => Member::Configuration(bytes),
        END => Member::End(bytes),
        _ if name.starts_with(REDIS) => Member::Keys(postcard::from_bytes(&bytes)?),
        _ => match table() {
            Some(table) => Member::Rows(table, bytes),
            None => bail!("the member {name} is unknown"),
        },
    })
}
