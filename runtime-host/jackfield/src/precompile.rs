//! `jackfield precompile`: compiles the application's components on all processors, so that the first start of a host does not have to.

use crate::{
    application, code_cache,
    config::{Config, variables},
};
use anyhow::{Context as _, Result};
use sandbox::CodeCache;
use std::{env, path::PathBuf, thread, time::Instant};
use validator_chain::{ChainEngine, ChainFactory};

/// Arguments of `jackfield precompile`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration file; its filters and its cache are used
    #[arg(long, value_name = "FILE", env = "JACKFIELD_CONFIG")]
    config: Option<PathBuf>,
    /// Application to compile in place of the one in this binary [default: spin.toml in the working directory, if there is one]
    #[arg(long, value_name = "SPIN_TOML", env = "JACKFIELD_APP")]
    app: Option<PathBuf>,
    /// Data folder; compiled code is kept there if the user has no cache folder
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "data",
        env = "JACKFIELD_DATA"
    )]
    data: PathBuf,
    /// Put the code into this binary in place of the cache, for machines of the same kind
    #[arg(long)]
    embed: bool,
}

/// Runs `jackfield precompile`.
///
/// # Errors
/// A component does not compile, or the code cannot be kept.
pub(crate) fn run(args: &Args) -> Result<()> {
    let config = Config::read(args.config.as_deref(), variables()?)?;
    if !args.embed {
        let cache = code_cache::open(&config, &args.data)?;
        return compile(args, &config, &cache);
    }
    let program = env::current_exe().context("the path of this binary is not known")?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let cache = CodeCache::open(folder.path())?;
    compile(args, &config, &cache)?;
    cache
        .embed_into(&program)
        .with_context(|| format!("{} cannot be replaced", program.display()))
}

fn compile(args: &Args, config: &Config, cache: &CodeCache) -> Result<()> {
    let app = args.app.as_deref().or(config.edge.app());
    let found = application::find(app)?;
    let validator = found.application.component("envelope-validator")?;
    let chain = config.validator.chain(validator);
    let begin = Instant::now();
    eprintln!("compiling the components of {} ...", found.origin);
    thread::scope(|threads| {
        let edge = threads.spawn(|| edge_host::precompile(&found.application, cache));
        let engine = ChainEngine::new(cache.clone())?;
        ChainFactory::load(&engine, &chain)?;
        edge.join()
            .map_err(|_| anyhow::anyhow!("the thread that compiles has panicked"))?
    })?;
    let stats = cache.stats();
    eprintln!(
        "{} compiled, {} known, in {:.1} s; kept in {}",
        stats.compiled,
        stats.hits,
        begin.elapsed().as_secs_f64(),
        cache.folder().display()
    );
    Ok(())
}
