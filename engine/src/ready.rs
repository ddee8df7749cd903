//! `thicket ready`: asks the engine of this configuration whether it is ready, for health checks.

use std::process::ExitCode;

use crate::config::HttpConfig;
use crate::scrape::{Page, page};
use crate::terminal::{errln, outln};

/// Prints what `/readyz` says. Fails if the engine does not answer, or is not ready.
pub(crate) async fn ready(http: &HttpConfig) -> anyhow::Result<ExitCode> {
    let Page { status, body } = page(http, "/readyz").await?;
    if status == 200 {
        outln!("{}", body.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    errln!("{}", body.trim_end());
    Ok(ExitCode::FAILURE)
}
