//! The file of an export: a `tar.gz` that people can look into.
//!
//! | member | holds |
//! |---|---|
//! | `manifest.json` | version, tables, days |
//! | `thicket.toml` | the configuration, without addresses and secrets |
//! | `tables/NAME/000000` … | the rows of a table, in parts of `COPY … (FORMAT binary)` |
//! | `redis/000000` … | keys of Redis with their values, postcard |
//! | `end.json` | the digest and the number of rows; an archive without it is not complete |

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use thicket_store::redis::KeyDump;

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const CONFIGURATION: &str = "thicket.toml";
pub(super) const END: &str = "end.json";
const TABLES: &str = "tables/";
const REDIS: &str = "redis/";

/// The bytes of rows in a member.
const PART_BYTES: usize = 4 << 20;
/// A member of an archive is not larger, so that a damaged one cannot take all memory. An export writes
/// at most 16 MB of keys and one more value of Redis, which has at most 512 MB.
const MOST_BYTES: u64 = 1 << 30;

/// Writes an archive.
pub(super) struct ArchiveWriter {
    builder: tar::Builder<GzEncoder<BufWriter<File>>>,
    /// The archive has this name only once it is whole.
    path: PathBuf,
    partial: PathBuf,
    keys: u32,
}

impl ArchiveWriter {
    /// Begins an archive. Only the user may read it: it holds every row.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            bail!("{} exists already; name a new file", path.display());
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let file = file.with_context(|| format!("cannot write {}", partial.display()))?;
        let compressed = GzEncoder::new(BufWriter::new(file), Compression::fast());
        Ok(Self { builder: tar::Builder::new(compressed), path: path.to_owned(), partial, keys: 0 })
    }

    /// Adds a member.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        let added = self.builder.append_data(&mut header, name, bytes);
        added.with_context(|| format!("cannot write {}", self.partial.display()))
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
        let Self { builder, path, partial, .. } = self;
        let write = || {
            let buffered = builder.into_inner()?.finish()?;
            let mut file = buffered.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.flush()?;
            file.sync_all()?;
            std::fs::rename(&partial, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
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

/// Opens an archive.
pub(super) fn open(path: &Path) -> anyhow::Result<tar::Archive<GzDecoder<BufReader<File>>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(tar::Archive::new(GzDecoder::new(BufReader::new(file))))
}

/// Reads a member.
pub(super) fn read(mut entry: tar::Entry<'_, impl Read>) -> anyhow::Result<Member> {
    let name = entry.path()?.to_string_lossy().into_owned();
    if entry.size() > MOST_BYTES {
        bail!("the archive is damaged: {name} has {} bytes", entry.size());
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).with_context(|| format!("the archive is damaged at {name}"))?;
    let table = || name.strip_prefix(TABLES)?.split_once('/').map(|(table, _)| table.to_owned());
    Ok(match name.as_str() {
        MANIFEST => Member::Manifest(bytes),
        CONFIGURATION => Member::Configuration(bytes),
        END => Member::End(bytes),
        _ if name.starts_with(REDIS) => Member::Keys(postcard::from_bytes(&bytes)?),
        _ => match table() {
            Some(table) => Member::Rows(table, bytes),
            None => bail!("the archive has an unknown member {name}"),
        },
    })
}
