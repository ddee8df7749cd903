//! What the command line can say about itself: completions for shells, and man pages.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::terminal::{outln, write_raw};

/// The arguments of `thicket completions`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// The arguments of `thicket man`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder, instead of the page of thicket to standard
    /// output.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub(crate) fn completions(mut command: Command, args: CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "thicket", &mut script);
    write_raw(&script);
    ExitCode::SUCCESS
}

/// Prints the man page, or writes all man pages.
pub(crate) fn man(command: Command, args: &ManArgs) -> anyhow::Result<ExitCode> {
    let Some(folder) = &args.write else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        write_raw(&page);
        return Ok(ExitCode::SUCCESS);
    };
    let cannot = || format!("cannot write into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    clap_mangen::generate_to(command, folder).with_context(cannot)?;
    outln!("wrote the man pages; read one with `man {}`", folder.join("thicket.1").display());
    Ok(ExitCode::SUCCESS)
}
