//! `thicket export` and `thicket import`: move a deployment to other servers. The archive holds the
//! configuration, all tables (rows, positions, ledgers), and all keys of Redis (the log and the
//! checkpoints). The digest of the rows proves that nothing has changed.
//!
//! - `args`: the command lines.
//! - `archive`: the file, a `tar.gz`. `manifest`: its first and its last member.
//! - `export`: writes an archive. `import`: reads one.

mod archive;
mod args;
mod export;
mod import;
mod manifest;

use std::process::ExitCode;

pub(crate) use args::{ABOUT_EXPORT, ABOUT_IMPORT, ExportArgs, ImportArgs};
pub(crate) use export::export;
pub(crate) use import::import;
use tokio::runtime::Runtime;

use crate::config::{self, Overrides};
use crate::show_config::HIDDEN;
use crate::terminal::{errln, outln};
use crate::toml_keys::table_of;
use crate::up::{Place, left_out_of, portable, quoted_if_needed, servers::Idle};

/// Exports the private deployment of `--data`. Returns `None` without `--data`.
pub(crate) fn export_private(args: &ExportArgs, overrides: &Overrides) -> Option<anyhow::Result<ExitCode>> {
    let data = args.data.as_deref()?;
    let run = || {
        let idle = Idle::start(Place::new(Some(data))?, false)?;
        let loaded = config::load(Some(&idle.config()), overrides).map_err(anyhow::Error::msg)?;
        runtime()?.block_on(export(&loaded, args))
    };
    Some(run())
}

/// Imports into a new private deployment in `--data`. Returns `None` without `--data`.
pub(crate) fn import_private(args: &ImportArgs, overrides: &Overrides) -> Option<anyhow::Result<ExitCode>> {
    let data = args.data.as_deref()?;
    let run = || {
        let text = import::configuration(&args.file)?;
        let mut left_out = left_out_of(&text);
        // An archive of an earlier version can have routes with half an address.
        let portable = portable(table_of("the configuration of the archive", &text)?, HIDDEN)?;
        left_out.extend(portable.left_out);
        let idle = Idle::start(Place::new(Some(data))?, true)?;
        let is_repeated = idle.import_config().exists();
        // Until the import has ended, the directory is no deployment: it can only be repeated.
        idle.write_import_config(&portable.text)?;
        let loaded = config::load(Some(&idle.import_config()), overrides).map_err(anyhow::Error::msg)?;
        let code = runtime()?.block_on(import(&loaded.config, &args.file, is_repeated))?;
        if code == ExitCode::SUCCESS {
            idle.accept_import_config()?;
            outln!("next: `thicket up --data {}`", quoted_if_needed(&data.display().to_string()));
            for route in left_out {
                errln!(
                    "thicket: the notification route {route} has a secret and is not imported; add it to {}",
                    idle.config().display()
                );
            }
        }
        Ok(code)
    };
    Some(run())
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
