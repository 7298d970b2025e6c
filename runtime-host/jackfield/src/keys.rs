//! The signing key: a file in the data directory. `jackfield keys` makes, shows and rotates it.
//!
//! After a rotation the former public keys go on verifying, so that tokens made with them stay good until they expire.

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
/// Public keys of former signing keys, one a line, newest first.
pub(crate) const RETIRED_KEYS_FILE: &str = "retired-keys";

/// Makes, shows and rotates the signing key.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Makes the signing key where there is none, and prints the public key.
    Init(Place),
    /// Prints the public keys that verify tokens, the current one first: the edge's variable `public_key`.
    Show(Place),
    /// Makes a new signing key; the former one goes on verifying until its tokens have expired.
    Rotate(Place),
}

#[derive(clap::Args)]
struct Place {
    /// The data directory.
    #[arg(long, default_value = "data")]
    data: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The data directory cannot be read or written.
pub(crate) fn run(args: &Args) -> Result<()> {
    let place = match &args.what {
        What::Init(place) => {
            fs::create_dir_all(&place.data)
                .with_context(|| format!("{} cannot be made", place.data.display()))?;
            init(&place.data)?;
            place
        }
        What::Show(place) => place,
        What::Rotate(place) => {
            rotate(&place.data)?;
            eprintln!(
                "the key is rotated; restart `jackfield serve`, and give an edge elsewhere the line below"
            );
            place
        }
    };
    println!("{}", public_keys(&place.data)?);
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
            "{} has no signing key; `jackfield keys init --data {0}` makes one, and so does `jackfield serve`",
            data.display()
        );
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    SigningKey::from_pem(&text)
        .with_context(|| format!("{} is no Ed25519 key in PKCS#8", path.display()))
}

/// The signing key in `data`, made when missing.
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
/// As [`read`], or a line of the retired keys is no key.
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
            .with_context(|| format!("{}: {line:?} is no public key", path.display()))?;
        if !keys.iter().any(|key| key == line) {
            keys.push(line.to_owned());
        }
    }
    keys.truncate(limits::identity::KEYS_MAX);
    Ok(keys.join(","))
}
