//! `jackfield token`: a token for an identity, as the last line on standard output.

use crate::keys;
use anyhow::{Context, Result};
use clap::ValueEnum;
use identifiers::UserId;
use identity::{NewToken, Role};
use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// Prints a token for an identity.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The data directory; only its key file is read.
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// The identity (`oderId`).
    #[arg(long)]
    user: String,
    /// What the token may do.
    #[arg(long, value_enum, default_value_t = RoleName::Client)]
    role: RoleName,
    /// Seconds until it expires.
    #[arg(long, default_value_t = limits::identity::TOKEN_LIFETIME_SECONDS)]
    lifetime_seconds: u64,
    /// `aud` of the token, where the host asks for one.
    #[arg(long)]
    audience: Option<String>,
    /// `iss` of the token, where the host asks for one.
    #[arg(long)]
    issuer: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// May manage every server, and the host.
    Admin,
    /// May do what the identity may do.
    Client,
}

/// Runs the command.
///
/// # Errors
/// There is no key, or the identity breaks its rule.
pub(crate) fn run(args: &Args) -> Result<()> {
    let key = keys::read(&args.data)?;
    let user_id = UserId::new(args.user.as_str()).context("--user")?;
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
