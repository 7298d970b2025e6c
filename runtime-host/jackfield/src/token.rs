//! `jackfield token`: a token for an identity, as the last line on standard output.

use crate::keys;
use anyhow::{Context, Result};
use clap::ValueEnum;
use identifiers::ClientId;
use identity::{NewToken, Role};
use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// Arguments of `jackfield token`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Data folder of the host; only its signing key is read
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "data",
        env = "JACKFIELD_DATA"
    )]
    data: PathBuf,
    /// Identity that the token is for (`oderId`)
    #[arg(long, value_name = "IDENTITY")]
    user: String,
    /// Role of the token
    #[arg(long, value_enum, default_value_t = RoleName::Client)]
    role: RoleName,
    /// Seconds until the token expires
    #[arg(long, value_name = "SECONDS", default_value_t = limits::identity::TOKEN_LIFETIME_SECONDS)]
    lifetime_seconds: u64,
    /// Audience (`aud`), if the host requires one
    #[arg(long)]
    audience: Option<String>,
    /// Issuer (`iss`), if the host requires one
    #[arg(long)]
    issuer: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// May manage every server and the host
    Admin,
    /// May do what the identity may do
    Client,
}

/// Runs `jackfield token`.
///
/// # Errors
/// There is no signing key, or the identity is not valid.
pub(crate) fn run(args: &Args) -> Result<()> {
    let key = keys::read(&args.data)?;
    let user_id = ClientId::new(args.user.as_str()).context("--user")?.into();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?
        .as_secs();
    let role = match args.role {
        RoleName::Admin => Role::Admin,
        RoleName::Client => Role::Client,
    };
    let token = NewToken {
        user_id,
        role,
        issued_at_s: now,
        lifetime_s: args.lifetime_seconds,
        audience: args.audience.clone(),
        issuer: args.issuer.clone(),
    };
    println!("{}", identity::sign(&key, &token)?);
    Ok(())
}
