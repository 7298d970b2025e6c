//! The binary `jackfield`: commands, and nothing that another crate could own.
#![forbid(unsafe_code)]

mod application;
mod backup;
mod check;
mod component_metrics;
mod config;
mod config_command;
mod data;
mod directory_client;
mod failure;
mod http_service;
mod keys;
mod new_command;
mod plugin_command;
mod plugins;
mod serve;
mod telemetry;
mod token;

use clap::{CommandFactory as _, Parser, Subcommand};
use std::{io::Write as _, process::ExitCode};

/// A community server whose plugins cannot hurt it.
#[derive(Parser)]
#[command(name = "jackfield", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs gateway and edge: WebSockets at /ws and /, REST below /api.
    Serve(serve::Args),
    /// Prints a token for an identity, signed with the key in the data directory.
    Token(token::Args),
    /// Makes, shows and rotates the signing key.
    Keys(keys::Args),
    /// Checks a plugin's manifest and prints what is wrong with it, and where.
    Check(check::Args),
    /// Shows the default configuration, or checks one.
    Config(config_command::Args),
    /// Copies the databases and keys of a data directory, also while it is being served.
    Backup(backup::Args),
    /// Manages the plugins of a running host.
    Plugin(Box<plugin_command::Args>),
    /// Prints a script that completes this program's commands in a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Begins something new: `new plugin hello`.
    New(new_command::Args),
    /// Compiles a plugin: a component on standard input becomes native code on standard output. The host runs this in a process of its own.
    #[command(hide = true)]
    CompilePlugin,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Check(args) => return check::run(&args.check, args.json),
        Command::Config(args) => config_command::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Plugin(args) => match plugin_command::run(&args) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "jackfield",
                &mut std::io::stdout(),
            );
            Ok(())
        }
        Command::New(args) => new_command::run(&args),
        Command::CompilePlugin => plugin_host::plugin::compile_standard_input(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "error[{}]: {error:#}",
                failure::code(&error)
            );
            ExitCode::FAILURE
        }
    }
}
