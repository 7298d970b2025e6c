//! Composes a component with its dependencies, as Spin does at load.
//!
//! A dependency gets no configuration: it may import only interfaces that carry no authority ([`HARMLESS`]). There is
//! no sandbox between the parts: the composed component is one store, and a trap in one part ends all of them.

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, collections::BTreeMap};
use wac_graph::{
    CompositionGraph, NodeId,
    types::{Package, SubtypeChecker, WorldId},
};

/// A component and the dependencies that it is composed with, their files already read.
pub(crate) struct Assembly {
    /// Name of the component in the manifest.
    pub(crate) id: String,
    /// The component.
    pub(crate) bytes: Cow<'static, [u8]>,
    /// Its dependencies.
    pub(crate) parts: Vec<Part>,
    /// The component has no environment variables that a dependency could read.
    pub(crate) no_environment: bool,
}

/// One dependency.
pub(crate) struct Part {
    /// Name in the manifest: `ns:package`, `ns:package/interface`, either with `@version`, or a plain name.
    pub(crate) import: String,
    /// The export that satisfies it; the import's own name when missing.
    pub(crate) export: Option<String>,
    /// The component.
    pub(crate) bytes: Cow<'static, [u8]>,
}

/// Part of an assembly's digest: raised when the same files are composed in another way, or when a composition is
/// refused that was not before.
const RULES: &[u8] = b"composition 1";

impl Assembly {
    /// Determines the outcome of [`Assembly::compose`].
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(RULES);
        digest.update([u8::from(self.no_environment)]);
        let mut add = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        add(&self.bytes);
        for part in &self.parts {
            add(part.import.as_bytes());
            add(&[u8::from(part.export.is_some())]);
            add(part.export.as_deref().unwrap_or_default().as_bytes());
            add(&part.bytes);
        }
        digest.finalize().into()
    }

    /// The component composed with its parts.
    ///
    /// # Errors
    /// When a part matches no import, two match the same one, an export is missing or of another type, or a part
    /// imports what a dependency may not have.
    pub(crate) fn compose(&self) -> Result<Vec<u8>> {
        self.link()
            .with_context(|| format!("component `{}`", self.id))
    }

    fn link(&self) -> Result<Vec<u8>> {
        let mut graph = CompositionGraph::new();
        let (world, root) = register(&mut graph, &self.id, &self.bytes)?;
        for (import, source) in &self.sources(&mut graph, world)? {
            let alias = alias(&mut graph, world, import, source)
                .with_context(|| format!("dependency `{}`", source.part.import))?;
            graph.set_instantiation_argument(root, import, alias)?;
        }
        let exports: Vec<String> = graph.types()[world].exports.keys().cloned().collect();
        for export in exports {
            let node = graph.alias_instance_export(root, &export)?;
            graph.export(node, &export)?;
        }
        graph
            .encode(Default::default())
            .context("the composition cannot be encoded")
    }

    /// Adds the parts to the graph; the part that satisfies each import.
    fn sources(
        &self,
        graph: &mut CompositionGraph,
        world: WorldId,
    ) -> Result<BTreeMap<String, Source<'_>>> {
        let imports: Vec<String> = graph.types()[world].imports.keys().cloned().collect();
        let mut sources: BTreeMap<String, Source<'_>> = BTreeMap::new();
        for part in &self.parts {
            let name = &part.import;
            let mut matched = imports
                .iter()
                .filter(|import| matches(name, import))
                .peekable();
            if matched.peek().is_none() {
                bail!(
                    "the dependency `{name}` matches none of its imports ({})",
                    imports.join(", ")
                );
            }
            let package = name.split(['/', '@']).next().unwrap_or(name);
            let (world, node) = register(graph, package, &part.bytes).with_context(|| {
                format!("dependency `{name}` (one entry per package: `{package}`)")
            })?;
            refuse_authority(graph, world, name, self.no_environment)?;
            for import in matched {
                let source = Source { part, node, world };
                if let Some(other) = sources.insert(import.clone(), source) {
                    bail!(
                        "the import `{import}` is satisfied by both `{}` and `{name}`",
                        other.part.import
                    );
                }
            }
        }
        Ok(sources)
    }
}

/// A part in the graph.
#[derive(Clone)]
struct Source<'a> {
    part: &'a Part,
    node: NodeId,
    world: WorldId,
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

fn register(graph: &mut CompositionGraph, name: &str, bytes: &[u8]) -> Result<(WorldId, NodeId)> {
    let package = Package::from_bytes(name, None, bytes.to_vec(), graph.types_mut())?;
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
    source: &Source<'_>,
) -> Result<NodeId> {
    let export = source.part.export.as_deref().unwrap_or(import);
    let types = graph.types();
    let given = *types[source.world]
        .exports
        .get(export)
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
    Ok(graph.alias_instance_export(source.node, export)?)
}

/// Whether a dependency's name means an import: package, interface (if named) and version (if named) are equal; plain
/// names are equal.
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
    use super::{Assembly, Part, matches};
    use std::collections::HashSet;

    #[test]
    fn everything_that_a_composition_depends_on_is_in_its_digest() {
        let part = |import: &str, export: Option<&str>, bytes: &'static [u8]| Part {
            import: import.into(),
            export: export.map(str::to_owned),
            bytes: bytes.into(),
        };
        let assembly = |bytes: &'static [u8], parts, no_environment| Assembly {
            id: "x".into(),
            bytes: bytes.into(),
            parts,
            no_environment,
        };
        let assemblies = [
            assembly(b"r", vec![], true),
            assembly(b"s", vec![], true),
            assembly(b"r", vec![part("a", None, b"p")], true),
            assembly(b"r", vec![part("a", None, b"p")], false),
            assembly(b"s", vec![part("a", None, b"p")], true),
            assembly(b"r", vec![part("b", None, b"p")], true),
            assembly(b"r", vec![part("a", Some(""), b"p")], true),
            assembly(b"r", vec![part("a", Some("b"), b"p")], true),
            assembly(b"r", vec![part("a", None, b"q")], true),
            assembly(
                b"r",
                vec![part("a", None, b"p"), part("b", None, b"p")],
                true,
            ),
            assembly(
                b"r",
                vec![part("b", None, b"p"), part("a", None, b"p")],
                true,
            ),
        ];
        let digests: HashSet<[u8; 32]> = assemblies.iter().map(Assembly::digest).collect();
        assert_eq!(digests.len(), assemblies.len());
    }

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
