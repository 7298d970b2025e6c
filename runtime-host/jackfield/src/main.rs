//! The binary `jackfield`: the command line. Each command is one module; what another crate could own is not here.
#![forbid(unsafe_code)]

mod application;
mod backup;
mod check;
mod code_cache;
mod component_metrics;
mod config;
mod config_command;
mod data;
mod directory_transport;
mod documents;
mod failure;
mod http;
mod keys;
mod new_command;
mod plugin_command;
mod plugins;
mod precompile;
mod serve;
mod telemetry;
mod token;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::{fmt::Write as _, io::Write as _, process::ExitCode};

/// Realtime community server with sandboxed plugins
#[derive(Parser)]
#[command(name = "jackfield", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a host: WebSockets at /ws and /, REST below /api
    Serve(serve::Args),
    /// Compile the application's components, so that the first start is fast
    Precompile(precompile::Args),
    /// Print the default configuration, or check one
    Config(config_command::Args),
    /// Copy the databases and keys of a data folder, also while a host serves it
    Backup(backup::Args),
    /// Print a token for an identity, signed with the key in the data folder
    Token(token::Args),
    /// Create, print and rotate the signing key
    Keys(keys::Args),
    /// Manage the plugins of a running host
    Plugin(Box<plugin_command::Args>),
    /// Check a plugin's manifest
    Check(check::Args),
    /// Create a new plugin
    New(new_command::Args),
    /// Print a shell's completion script for this program
    Completions {
        /// Shell to print the script for
        shell: clap_complete::Shell,
    },
    /// Compile a plugin: a component on standard input becomes native code on standard output. The host runs this command in a process of its
    /// own
    #[command(hide = true)]
    CompilePlugin,
}

impl Command {
    /// Whether it makes files in a data folder or in the cache of compiled code.
    fn writes_data(&self) -> bool {
        matches!(
            self,
            Self::Serve(_) | Self::Precompile(_) | Self::Token(_) | Self::Keys(_) | Self::Backup(_)
        )
    }
}

/// The commands in the order and the groups of `jackfield --help`.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Host", &["serve", "precompile", "config", "backup"]),
    ("Identities", &["token", "keys"]),
    ("Plugins", &["plugin", "check", "new"]),
    ("Shell", &["completions", "help"]),
];

/// The command line, with its commands in groups.
fn command() -> clap::Command {
    let mut command = Arguments::command();
    command.build();
    let mut list = String::new();
    for (title, names) in GROUPS {
        let _ = write!(list, "\n{title}:\n");
        for name in names {
            let about = command
                .find_subcommand(name)
                .and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(list, "  {name:12} {about}");
        }
    }
    Arguments::command().help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n{list}\nOptions:\n{{options}}"
    ))
}

fn main() -> ExitCode {
    let matches = command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if arguments.command.writes_data() {
        data::keep_private();
    }
    let outcome = match arguments.command {
        Command::Serve(args) => serve::run(&args),
        Command::Precompile(args) => precompile::run(&args),
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
            let mut out = std::io::stdout();
            clap_complete::generate(shell, &mut command(), "jackfield", &mut out);
            Ok(())
        }
        Command::New(args) => new_command::run(&args),
        Command::CompilePlugin => plugin_host::compile_standard_input(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = failure::code(&error);
            let _ = writeln!(std::io::stderr(), "error[{code}]: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, command};

    #[test]
    fn the_help_lists_every_command_in_a_group() {
        let mut command = command();
        command.build();
        let mut visible: Vec<&str> = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(clap::Command::get_name)
            .collect();
        let mut grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        visible.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(visible, grouped);
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
