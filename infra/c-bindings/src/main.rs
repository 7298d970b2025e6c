//! `c-bindings <wit> <world> <folder>`: generates the C bindings of a plugin like `wit-bindgen c`.
//!
//! A separate program, so that xtask does not compile the generator. Its version comes from
//! Cargo.lock, so that all builds use the same bindings.

use anyhow::{Context as _, Result, bail};
use std::{env, fs, path::Path, process::ExitCode};
use wit_bindgen_core::{Files, wit_parser::Resolve};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let [wit, world, folder] = arguments else {
        bail!("usage: c-bindings <wit> <world> <folder>")
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(wit)
        .with_context(|| format!("{wit} is not valid WIT"))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(folder)?;
    for (name, bytes) in files.iter() {
        let path = Path::new(folder).join(name);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
