//! `jackfield backup`: a copy of the databases (online, by SQLite's own backup) and of the secret files.

use crate::{
    data::SERVICE_CREDENTIAL_FILE,
    keys::{RETIRED_KEYS_FILE, SIGNING_KEY_FILE},
};
use anyhow::{Context, Result, bail};
use std::{fs, path::PathBuf};

/// Copies a data directory while it is being served.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The data directory.
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// Where the copy goes: a folder that does not exist yet, or is empty. Serve it with `jackfield serve --data`.
    #[arg(long)]
    to: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Something cannot be read or written; the target then holds no complete copy.
pub(crate) fn run(args: &Args) -> Result<()> {
    if fs::read_dir(&args.to).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty; a backup never overwrites",
            args.to.display()
        );
    }
    for file in edge_host::backup(&args.data, &args.to)? {
        println!("{}", file.display());
    }
    for name in [
        SIGNING_KEY_FILE,
        RETIRED_KEYS_FILE,
        SERVICE_CREDENTIAL_FILE,
        plugin_store::SECRETS_KEY_FILE,
    ] {
        let from = args.data.join(name);
        if from.exists() {
            let to = args.to.join(name);
            let text = fs::read_to_string(&from)
                .with_context(|| format!("{} cannot be read", from.display()))?;
            crate::data::write_secret(&to, &text)?;
            println!("{}", to.display());
        }
    }
    Ok(())
}
