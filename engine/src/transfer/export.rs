//! `thicket export`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures_util::TryStreamExt as _;
use thicket_schema::{Keys, PartitionId};
use thicket_store::digest::digest;
use thicket_store::postgres::TableReader;
use thicket_store::redis::{Client, dump_keys, lease_holders};

use super::archive::{ArchiveWriter, CONFIGURATION, END, MANIFEST, Parts};
use super::args::ExportArgs;
use super::manifest::{End, Manifest, rows_of};
use crate::config::Loaded;
use crate::progress_line::ProgressLine;
use crate::show_config::{HIDDEN, changed_text};
use crate::stores;
use crate::terminal::{errln, outln};
use crate::up::{Portable, portable};

/// Exports the deployment of the configuration.
pub(crate) async fn export(loaded: &Loaded, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let file = &args.file;
    let config = &loaded.config;
    let redis = stores::redis(config).await?;
    let keys = Keys::new(&config.redis.prefix)?;
    let partitions = config.queue.partitions;
    refuse_engine(&redis, &keys, partitions).await?;
    let tables = TableReader::begin(&config.postgres.server()).await.context(stores::TABLES_MISSING)?;
    let mut archive = ArchiveWriter::create(file)?;
    let contents = (tables.tables().await?, tables.days().await?, tables.sequences().await?);
    let manifest = Manifest::new((partitions, config.redis.prefix.clone()), contents);
    archive.add_json(MANIFEST, &manifest)?;
    let Portable { text, left_out } = portable(changed_text(loaded)?.parse()?, HIDDEN)?;
    for route in left_out {
        errln!("thicket: the notification route {route} is left out of the export, because it has a secret");
    }
    archive.add(CONFIGURATION, text.as_bytes())?;

    let mut rows = BTreeMap::new();
    for table in &manifest.tables {
        let count = tables.count(table).await?;
        if count > 0 {
            errln!("thicket: exporting {}: {}", table.name, rows_of(count));
        }
        let (mut sent, mut progress, started) = (0_u64, ProgressLine::new(), Instant::now());
        let mut stream = std::pin::pin!(tables.rows(table).await?);
        let mut parts = Parts::new(&mut archive, &table.name);
        while let Some(bytes) = stream.try_next().await? {
            parts.add(&bytes)?;
            // PostgreSQL sends a message for each row.
            sent += 1;
            progress.show(|| {
                let rate = sent as f64 / started.elapsed().as_secs_f64().max(0.001);
                format!(
                    "thicket: exported {} of {count} rows of {}, {rate:.0} rows/s",
                    sent.min(count),
                    table.name
                )
            });
        }
        parts.flush()?;
        progress.finish();
        rows.insert(table.name.clone(), count);
    }
    let mut count = 0;
    let mut progress = ProgressLine::new();
    dump_keys(&redis, &keys, |page| {
        count += page.len() as u64;
        progress.show(|| format!("thicket: exported {count} keys of redis"));
        archive.add_keys(&page)
    })
    .await?;
    progress.finish();
    errln!("thicket: exported {count} keys of redis; computing the digest of the rows");
    let digest = digest(config.postgres.server()).await?;
    // An engine that started meanwhile may have changed both.
    refuse_engine(&redis, &keys, partitions).await?;
    let said = format!("digest {} of {} readings", digest.sha256, digest.readings.rows);
    archive.add_json(END, &End { digest, rows, keys: count })?;
    archive.finish()?;
    outln!("exported to {}", file.display());
    outln!("{said}");
    outln!(
        "next: `thicket import {}` on the new servers, after `thicket migrate`; docs/up.md has every step",
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Fails while an engine holds a lease of the deployment.
async fn refuse_engine(redis: &Client, keys: &Keys, partitions: u16) -> anyhow::Result<()> {
    let of_partitions = (0..partitions).map(|partition| keys.lease(PartitionId(partition)));
    let holders = lease_holders(redis, of_partitions.chain([keys.ingress_lease()])).await?;
    let holder = holders.into_iter().flatten().next();
    ensure!(
        holder.is_none(),
        "the engine {} runs: stop it and try again (after a crash, its leases end by themselves)",
        holder.unwrap_or_default()
    );
    Ok(())
}
