//! Composes a component with its dependencies, as Spin does at load.
//!
//! A dependency gets no configuration: it may import only interfaces that carry no authority ([`HARMLESS`]). There is no sandbox between
//! the parts: the composed component is one store, and a trap in one part ends all of them.

use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use wac_graph::{
    CompositionGraph, NodeId,
    types::{Package, SubtypeChecker, WorldId},
};

/// One dependency, its file already read.
pub(crate) struct Part {
    /// Name in the manifest: `ns:package`, `ns:package/interface`, either with `@version`, or a plain name.
    pub(crate) import: String,
    /// The export that satisfies it; the import's own name when missing.
    pub(crate) export: Option<String>,
    /// The component.
    pub(crate) bytes: Vec<u8>,
}

/// Interfaces that give a dependency nothing: types, clocks, randomness, the streams of a program without files.
const HARMLESS: &[&str] = &[
    "wasi:io/",
    "wasi:clocks/",
    "wasi:random/",
    "wasi:cli/",
    "wasi:filesystem/",
];

/// Gives nothing only while the component itself has no environment variables.
const ENVIRONMENT: &str = "wasi:cli/environment";

/// Composes `bytes` with its parts. `no_environment`: the component has no environment variables that a part could read.
///
/// # Errors
/// When a part matches no import, two match the same one, an export is missing or of another type, or a part imports what a dependency
/// may not have.
pub(crate) fn compose(
    id: &str,
    bytes: Vec<u8>,
    parts: Vec<Part>,
    no_environment: bool,
) -> Result<Vec<u8>> {
    if parts.is_empty() {
        return Ok(bytes);
    }
    let mut graph = CompositionGraph::new();
    let (world, root) =
        register(&mut graph, id, bytes).with_context(|| format!("component `{id}`"))?;
    let imports: Vec<String> = graph.types()[world].imports.keys().cloned().collect();

    let mut satisfied: BTreeMap<String, (String, NodeId, WorldId, Option<String>)> =
        BTreeMap::new();
    for part in parts {
        let matched: Vec<&String> = imports
            .iter()
            .filter(|import| matches(&part.import, import))
            .collect();
        if matched.is_empty() {
            bail!(
                "component `{id}`: the dependency `{}` matches none of its imports ({})",
                part.import,
                imports.join(", ")
            );
        }
        let package = part.import.split(['/', '@']).next().unwrap_or(&part.import);
        let (part_world, node) = register(&mut graph, package, part.bytes).with_context(|| {
            format!(
                "component `{id}`: dependency `{}` (one entry per package: `{package}`)",
                part.import
            )
        })?;
        refuse_authority(&graph, part_world, &part.import, no_environment)?;
        for import in matched {
            let entry = (part.import.clone(), node, part_world, part.export.clone());
            if let Some((other, ..)) = satisfied.insert(import.clone(), entry) {
                bail!(
                    "component `{id}`: the import `{import}` is satisfied by both `{other}` and `{}`",
                    part.import
                );
            }
        }
    }
    for (import, (name, node, part_world, export)) in satisfied {
        let alias = alias(&mut graph, world, &import, (node, part_world, export))
            .with_context(|| format!("component `{id}`: dependency `{name}`"))?;
        graph.set_instantiation_argument(root, &import, alias)?;
    }
    let exports: Vec<String> = graph.types()[world].exports.keys().cloned().collect();
    for export in exports {
        let node = graph.alias_instance_export(root, &export)?;
        graph.export(node, &export)?;
    }
    graph
        .encode(Default::default())
        .with_context(|| format!("component `{id}`: the composition cannot be encoded"))
}

fn register(graph: &mut CompositionGraph, name: &str, bytes: Vec<u8>) -> Result<(WorldId, NodeId)> {
    let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
    let world = package.ty();
    let package = graph.register_package(package)?;
    Ok((world, graph.instantiate(package)))
}

fn refuse_authority(
    graph: &CompositionGraph,
    world: WorldId,
    name: &str,
    no_environment: bool,
) -> Result<()> {
    let harmless = |import: &&str| {
        HARMLESS.iter().any(|prefix| import.starts_with(prefix))
            && (no_environment || !import.starts_with(ENVIRONMENT))
    };
    let imports = graph.types()[world].imports.keys().map(String::as_str);
    let denied: Vec<&str> = imports.filter(|import| !harmless(import)).collect();
    if denied.is_empty() {
        return Ok(());
    }
    bail!(
        "the dependency `{name}` imports {}: a dependency gets no configuration, so these imports cannot be satisfied",
        denied.join(", ")
    );
}

fn alias(
    graph: &mut CompositionGraph,
    world: WorldId,
    import: &str,
    (node, part_world, export): (NodeId, WorldId, Option<String>),
) -> Result<NodeId> {
    let export = export.unwrap_or_else(|| import.to_owned());
    let types = graph.types();
    let given = *types[part_world]
        .exports
        .get(&export)
        .ok_or_else(|| anyhow!("it does not export `{export}`, which `{import}` needs"))?;
    let wanted = *types[world]
        .imports
        .get(import)
        .ok_or_else(|| anyhow!("`{import}` is no import"))?;
    SubtypeChecker::new(&mut Default::default())
        .is_subtype(given, types, wanted, types)
        .with_context(|| {
            format!("its export `{export}` has another type than the import `{import}`")
        })?;
    Ok(graph.alias_instance_export(node, &export)?)
}

/// Whether a dependency's name means an import: package, interface (if named) and version (if named) are equal; plain names are equal.
fn matches(name: &str, import: &str) -> bool {
    let (
        Some((package, interface, version)),
        Some((import_package, import_interface, import_version)),
    ) = (split(name), split(import))
    else {
        return name == import;
    };
    package == import_package
        && (interface.is_none() || interface == import_interface)
        && (version.is_none() || version == import_version)
}

fn split(name: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    if !name.contains(':') {
        return None;
    }
    let (path, version) = name
        .split_once('@')
        .map_or((name, None), |(path, version)| (path, Some(version)));
    let (package, interface) = path
        .split_once('/')
        .map_or((path, None), |(package, interface)| {
            (package, Some(interface))
        });
    Some((package, interface, version))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_match_imports_as_in_spin() {
        for (name, import, expected) in [
            ("foo:bar/baz@0.1.0", "foo:bar/baz@0.1.0", true),
            ("foo:bar/baz", "foo:bar/baz@0.1.0", true),
            ("foo:bar", "foo:bar/baz@0.1.0", true),
            ("foo:bar@0.1.0", "foo:bar/baz@0.1.0", true),
            ("foo-bar", "foo-bar", true),
            ("foo:bar/baz@0.1.0", "foo:bar/baz", false),
            ("foo:bar/baz", "foo:bar/bub@0.1.0", false),
            ("foo:bar", "foo:bub/bib", false),
            ("foo-bar", "foo:bar/baz", false),
        ] {
            assert_eq!(matches(name, import), expected, "{name} {import}");
        }
    }
}
