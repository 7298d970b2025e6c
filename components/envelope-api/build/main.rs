//! Makes every document of this component once: compact and compressed, with the digest that is its entity tag.

mod catalogue;

use envelope_docs::Direction;
use rest::Compressed;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names the folder")?);
    let documents = documents();
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

/// Every document by its path, in the order of paths.
fn documents() -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::from([
        (
            "/api/envelopes/catalogue".to_owned(),
            catalogue::catalogue(),
        ),
        ("/api/asyncapi.json".to_owned(), envelope_docs::asyncapi()),
        ("/api/schemas/envelopes".to_owned(), catalogue::schemas()),
    ]);
    for (path, schema) in envelope_docs::schemas() {
        documents.insert(format!("/api/schemas/envelopes/{path}"), schema);
    }
    // Without its direction, a schema is that of the envelope as clients send it, or else as they receive it.
    for envelope in envelope::CATALOGUE {
        let found = Direction::ALL
            .into_iter()
            .find_map(|direction| envelope_docs::schema(envelope.name, direction));
        if let Some(schema) = found {
            documents.insert(
                format!("/api/schemas/envelopes/{}.json", envelope.name),
                schema,
            );
        }
    }
    documents
}
