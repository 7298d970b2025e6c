//! Makes every document of this component once: compact and compressed, with the digest that is its entity tag.

use rest::Compressed;
use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names the folder")?);
    let documents = envelope_docs::documents();
    let mut table = format!(
        "static DOCUMENTS: [(&str, Document); {}] = [\n",
        documents.len()
    );
    for (at, (path, document)) in documents.into_iter().enumerate() {
        let (plain, gzip) = (format!("{at}.json"), format!("{at}.json.gz"));
        let made = Compressed::new(&document);
        fs::write(folder.join(&plain), &made.plain)?;
        fs::write(folder.join(&gzip), &made.gzip)?;
        writeln!(
            table,
            "    ({path:?}, Document::from_static(include_bytes!({:?}), include_bytes!({:?}), {:?})),",
            folder.join(plain),
            folder.join(gzip),
            made.digest
        )?;
    }
    table.push_str("];\n");
    fs::write(Path::new(&folder).join("documents.rs"), table)?;
    Ok(())
}
