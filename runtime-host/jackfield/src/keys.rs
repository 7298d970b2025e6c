//! The signing key, a file in the data folder, and `jackfield keys`. After a rotation the former public keys still verify tokens, so that
//! those signed before stay valid until they expire.

use crate::data;
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use identity::{PublicKey, SigningKey};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The private key, PKCS#8 in PEM, mode 0600.
pub(crate) const SIGNING_KEY_FILE: &str = "signing-key.pem";
/// Public keys of former signing keys, one per line, newest first.
pub(crate) const RETIRED_KEYS_FILE: &str = "retired-keys";

/// Arguments of `jackfield keys`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Create the signing key if there is none, and print the public key
    Init(DataFolder),
    /// Print the public keys that verify tokens, the current one first: the application's variable `public_key`
    Show(DataFolder),
    /// Create a new signing key; tokens signed with the former one stay valid until they expire
    Rotate(DataFolder),
}

#[derive(clap::Args)]
struct DataFolder {
    /// Data folder of the host
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "data",
        env = "JACKFIELD_DATA"
    )]
    data: PathBuf,
}

/// Runs `jackfield keys`.
///
/// # Errors
/// The data folder cannot be read or written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = match &args.what {
        What::Init(folder) => {
            fs::create_dir_all(&folder.data)
                .with_context(|| format!("{} cannot be created", folder.data.display()))?;
            init(&folder.data)?;
            folder
        }
        What::Show(folder) => folder,
        What::Rotate(folder) => {
            rotate(&folder.data)?;
            eprintln!(
                "the signing key is rotated; restart `jackfield serve`, and set `public_key` of an application elsewhere to the line below"
            );
            folder
        }
    };
    println!("{}", public_keys(&folder.data)?);
    Ok(())
}

/// The signing key in `data`.
///
/// # Errors
/// There is none, or it is damaged.
pub(crate) fn read(data: &Path) -> Result<SigningKey> {
    let path = data.join(SIGNING_KEY_FILE);
    if !path.exists() {
        bail!(
            "{} has no signing key; `jackfield keys init --data {0}` creates one, and so does `jackfield serve`",
            data.display()
        );
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    SigningKey::from_pem(&text)
        .with_context(|| format!("{} is not an Ed25519 key in PKCS#8", path.display()))
}

/// The signing key in `data`, created if it is missing.
///
/// # Errors
/// It cannot be read or written.
pub(crate) fn init(data: &Path) -> Result<SigningKey> {
    data::read_or_make(&data.join(SIGNING_KEY_FILE), || {
        Ok(SigningKey::from_seed(&data::random()?).to_pem()?)
    })?;
    read(data)
}

fn rotate(data: &Path) -> Result<()> {
    let retired = public_keys(data)?.replace(',', "\n");
    data::write_secret(&data.join(RETIRED_KEYS_FILE), &retired)?;
    data::write_secret(
        &data.join(SIGNING_KEY_FILE),
        &SigningKey::from_seed(&data::random()?).to_pem()?,
    )
}

/// All public keys that verify tokens, comma separated, the current one first.
///
/// # Errors
/// As [`read`], or a line of the retired keys is not a public key.
pub(crate) fn public_keys(data: &Path) -> Result<String> {
    let current = read(data)?.public_key().to_string();
    let path = data.join(RETIRED_KEYS_FILE);
    let retired = if path.exists() {
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?
    } else {
        String::new()
    };
    let mut keys = vec![current];
    for line in retired
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        PublicKey::parse(line)
            .with_context(|| format!("{}: {line:?} is not a public key", path.display()))?;
        if !keys.iter().any(|key| key == line) {
            keys.push(line.to_owned());
        }
    }
    keys.truncate(limits::identity::KEYS_MAX);
    Ok(keys.join(","))
}
