//! `jackfield backup`: a copy of the databases (online, by SQLite's own backup) and of the secret files.

use crate::{
    data::SERVICE_CREDENTIAL_FILE,
    keys::{RETIRED_KEYS_FILE, SIGNING_KEY_FILE},
};
use anyhow::{Context, Result, bail};
use std::{fs, path::PathBuf};

/// Arguments of `jackfield backup`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Data folder of the host
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "data",
        env = "JACKFIELD_DATA"
    )]
    data: PathBuf,
    /// Folder for the copy, empty or not existing; `jackfield serve --data` serves it
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

/// Runs `jackfield backup`.
///
/// # Errors
/// A file cannot be read or written; the target is then not a complete copy.
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
    eprintln!(
        "not copied: the files of plugins (plugins.directory) and the configuration; keep copies of both"
    );
    Ok(())
}
