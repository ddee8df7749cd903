//! `thicket import`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use futures_util::stream;
use thicket_schema::Keys;
use thicket_store::digest::digest;
use thicket_store::postgres::{TableWriter, TransferError};
use thicket_store::redis::{Client, RedisError, begin_import, end_import, is_importing, restore_keys};

use super::archive::{self, Member};
use super::manifest::{End, Manifest, rows_of};
use crate::config::Config;
use crate::progress_line::ProgressLine;
use crate::stores;
use crate::terminal::{errln, outln};

/// The error of an archive that has its members in another order.
const DAMAGED: &str = "the archive has its members in another order; export again";

/// Returns the configuration in an archive.
pub(super) fn configuration(file: &Path) -> anyhow::Result<String> {
    let (mut opened, position) = archive::open(file)?;
    let mut find = || {
        for entry in opened.entries()?.take(2) {
            if let Member::Configuration(bytes) = archive::read(entry?)? {
                return Ok(String::from_utf8(bytes)?);
            }
        }
        bail!("it has no configuration")
    };
    find().with_context(|| position.damaged("its beginning"))
}

/// Fills the servers of the configuration from an archive.
///
/// The rows are written in one transaction, which is committed after the keys. Until then,
/// PostgreSQL is empty. Until the digest is compared, Redis has a mark, and no engine starts. A
/// repeated import begins again, or, if the rows are there, compares the digest. `is_repeated` says
/// that an earlier import has not ended, also without the mark.
pub(crate) async fn import(config: &Config, file: &Path, is_repeated: bool) -> anyhow::Result<ExitCode> {
    let end = check_whole(file)?;
    let (mut opened, position) = archive::open(file)?;
    let mut members = opened.entries()?.map(|entry| archive::read(entry?)).peekable();
    let Some(Member::Manifest(manifest)) = members.next().transpose()? else { bail!(DAMAGED) };
    let manifest: Manifest = serde_json::from_slice(&manifest).context(DAMAGED)?;
    manifest.check(config.queue.partitions)?;

    let redis = stores::redis(config).await?;
    let (from, to) = (Keys::new(&manifest.prefix)?, Keys::new(&config.redis.prefix)?);
    let is_repeated = is_repeated || is_importing(&redis, &to).await?;
    let tables = match TableWriter::begin(&config.postgres.server(), &manifest.tables).await {
        Err(TransferError::NotEmpty(_)) if is_repeated => {
            errln!(
                "thicket: an earlier import has written all rows and keys; computing the digest of the rows"
            );
            return compare(config, &redis, &to, &end).await;
        }
        begun => begun?,
    };
    ensure!(
        begin_import(&redis, &to).await.map_err(|error| explained(&error, None))?,
        "redis has keys under the prefix {} already: import into an empty redis, or set redis.prefix",
        config.redis.prefix
    );
    tables.create_days(&manifest.days).await?;
    let (mut progress, started) = (ProgressLine::new(), Instant::now());
    let so_far = |of: &str| {
        let rate = position.read() as f64 / 1e6 / started.elapsed().as_secs_f64().max(0.001);
        format!("thicket: importing {of}, {} % of the archive, {rate:.1} MB/s", position.percent())
    };
    for table in &manifest.tables {
        // The configuration comes before the rows.
        while members.next_if(|member| matches!(member, Ok(Member::Configuration(_)))).is_some() {}
        let parts = std::iter::from_fn(|| {
            let is_part = |member: &anyhow::Result<Member>| matches!(member, Ok(Member::Rows(name, _)) if *name == table.name);
            progress.show(|| so_far(&table.name));
            match members.next_if(is_part)? {
                Ok(Member::Rows(_, bytes)) => Some(Ok(Bytes::from(bytes))),
                _ => None,
            }
        });
        tables.write(table, stream::iter(parts.map(|part: Result<Bytes, TransferError>| part))).await?;
        let expected = end.rows.get(&table.name).copied().unwrap_or_default();
        let count = tables.count(table).await?;
        if count > 0 {
            errln!("thicket: imported {}: {}", table.name, rows_of(count));
        }
        ensure!(count == expected, "{} has {count} rows, and the archive says {expected}", table.name);
    }
    let mut count = 0;
    for member in members {
        match member? {
            Member::Keys(keys) => {
                count += keys.len() as u64;
                progress.show(|| so_far("redis"));
                let restored = restore_keys(&redis, &from, &to, keys).await;
                restored.map_err(|error| explained(&error, Some(OLDER)))?;
            }
            Member::End(_) => break,
            _ => bail!(DAMAGED),
        }
    }
    ensure!(count == end.keys, DAMAGED);
    progress.finish();
    errln!("thicket: imported {count} keys of redis; computing the digest of the rows");
    tables.commit(&manifest.sequences).await?;
    compare(config, &redis, &to, &end).await
}

/// Compares the digest of the rows with that of the export, and ends the import if they are the
/// same.
async fn compare(config: &Config, redis: &Client, keys: &Keys, end: &End) -> anyhow::Result<ExitCode> {
    let found = digest(config.postgres.server()).await?;
    if found != end.digest {
        outln!("the digest is {}, and that of the export {}", found.sha256, end.digest.sha256);
        outln!("the rows DIFFER: empty both servers and import again");
        return Ok(ExitCode::FAILURE);
    }
    end_import(redis, keys).await?;
    outln!("imported; the digest is that of the export");
    outln!("digest {} of {} readings", found.sha256, found.readings.rows);
    Ok(ExitCode::SUCCESS)
}

/// What to do if Redis does not take a key for a reason that is not known.
const OLDER: &str =
    "if it refuses the value, it is older than the redis of the export: use a newer one, and import again";

/// Returns an error of Redis with what to do about it: `otherwise` if it is not a known one.
fn explained(error: &RedisError, otherwise: Option<&str>) -> anyhow::Error {
    let said = error.to_string();
    match advice(&said).or(otherwise) {
        Some(advice) => anyhow!("redis: {said}; {advice}"),
        None => anyhow!("redis: {said}"),
    }
}

/// Returns what to do about an error of Redis, if it is a known one.
fn advice(error: &str) -> Option<&'static str> {
    if error.contains("OOM") {
        Some("redis has no memory left: raise its maxmemory, and import again")
    } else if error.contains("MISCONF") {
        Some("redis cannot write its file: make room on its disk, and import again")
    } else if error.contains("NOPERM") {
        Some(
            "give the user of redis.url the right +restore for the import (docs/operating.md), and import again",
        )
    } else {
        None
    }
}

/// Reads the archive to its end, so that a damaged one changes nothing.
fn check_whole(file: &Path) -> anyhow::Result<End> {
    let (mut opened, position) = archive::open(file)?;
    let mut progress = ProgressLine::new();
    let mut member = "its beginning".to_owned();
    let mut end = None;
    let check = || {
        for entry in opened.entries()? {
            let entry = entry?;
            member = entry.path()?.display().to_string();
            if let Member::End(bytes) = archive::read(entry)? {
                end = Some(serde_json::from_slice(&bytes)?);
            }
            progress.show(|| format!("thicket: checking the archive, {} %", position.percent()));
        }
        // The checksum of all members comes after the last of them.
        std::io::copy(&mut opened.into_inner(), &mut std::io::sink())?;
        end.context("its last member is missing")
    };
    let checked = check();
    progress.finish();
    checked.with_context(|| position.damaged(&member))
}
