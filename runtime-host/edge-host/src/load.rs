//! From a manifest to components that are ready: files read, dependencies composed, code compiled, grants made,
//! databases checked. Everything that can be wrong with an application is found here, before the first request.

use crate::{
    application::Application,
    compose::{Assembly, Part},
    engine::Runtime,
    lock::make_private_dir,
    manifest::{Component as Entry, Manifest},
    network::{allowed::AllowedHosts, outbound::HttpClient},
    routes::Router,
    spin::{KeyValueStore, PostgresPools},
    sqlite::{Database, Watch, database_file, key_value_file},
    store_data::{AppContext, Grants, StoreData},
    variables::Resolver,
    worker::{Component, Handler},
};
use anyhow::{Context, Result, anyhow, bail};
use sandbox::CodeCache;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};
use wasmtime::component::InstancePre;

/// Where an application is and what it runs with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The manifest and its components.
    pub app: Application,
    /// Databases live here. Take [`crate::lock`] before loading.
    pub data_dir: PathBuf,
    /// Compiled code.
    pub cache: CodeCache,
    /// Application variables; they beat `SPIN_VARIABLE_<NAME>` and the manifest's defaults.
    pub variables: BTreeMap<String, String>,
    /// Run the build command of a component whose file is missing.
    pub build_missing: bool,
    /// Requests one instance serves before it is replaced, 1 to [`limits::edge_host::REQUESTS_PER_INSTANCE_MAX`]; 0
    /// stands for the most.
    pub requests_per_instance_max: usize,
}

/// What a loaded application consists of.
pub(crate) struct Loaded {
    pub(crate) router: Router,
    /// In the order of [`Manifest::served`], which the router's indices follow.
    pub(crate) handlers: Vec<Handler>,
    pub(crate) databases: Vec<PathBuf>,
    pub(crate) shared: Arc<AppContext>,
}

/// Loads an application. Blocks: compiling takes seconds, reading the cache milliseconds.
///
/// # Errors
/// With a text that names the file, component, variable, interface or database at fault.
pub(crate) fn load(options: &Options) -> Result<Loaded> {
    let most = limits::edge_host::REQUESTS_PER_INSTANCE_MAX;
    let requests_per_instance_max = match options.requests_per_instance_max {
        0 => most,
        count if count <= most => count,
        count => anyhow::bail!("an instance may serve at most {most} requests, not {count}"),
    };
    let app = &options.app;
    let manifest = app.manifest();
    let resolver = Resolver::new(&manifest.variables, &options.variables)?;
    let router = routes(manifest)?;
    make_private_dir(&options.data_dir)?;
    let (runtime, clock) = Runtime::new(options.cache.clone())?;
    let shared = Arc::new(AppContext {
        http: HttpClient::new()?,
        postgres: Arc::new(PostgresPools::default()),
        ending: false.into(),
        requests_per_instance_max,
        watch: Arc::default(),
        activity: clock.activity(),
        _clock: clock,
    });
    let mut stores = Stores {
        data_dir: &options.data_dir,
        watch: shared.watch.clone(),
        databases: HashMap::new(),
        key_values: HashMap::new(),
    };
    let ids = manifest.served();
    let mut granted = Vec::new();
    let mut assemblies = Vec::new();
    for id in &ids {
        granted.push(grants(
            id,
            &manifest.components[*id],
            &resolver,
            &mut stores,
        )?);
        assemblies.push(assemble(app, id, options.build_missing)?);
    }
    let mut handlers = Vec::new();
    for (pre, grants) in prepare(&runtime, &assemblies)?.into_iter().zip(granted) {
        let engine = runtime.engine().clone();
        let component = Component::new(engine, pre, Arc::new(grants), shared.clone())?;
        handlers.push(Handler::new(component));
    }
    Ok(Loaded {
        router,
        handlers,
        databases: stores.files(),
        shared,
    })
}

/// Compiles the components of an application into the cache, as loading it would. Blocks for seconds.
///
/// # Errors
/// With a text that names the component or file at fault.
pub fn precompile(app: &Application, cache: &CodeCache) -> Result<()> {
    let (runtime, _clock) = Runtime::new(cache.clone())?;
    let mut assemblies = Vec::new();
    for id in app.manifest().served() {
        assemblies.push(assemble(app, id, false)?);
    }
    prepare(&runtime, &assemblies).map(drop)
}

/// Compiles all components side by side, those that the cache does not have.
fn prepare(runtime: &Runtime, assemblies: &[Assembly]) -> Result<Vec<InstancePre<StoreData>>> {
    thread::scope(|threads| {
        let started: Vec<_> = assemblies
            .iter()
            .map(|assembly| threads.spawn(|| runtime.prepare(assembly)))
            .collect();
        started
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow!("a thread that compiles a component has panicked"))?
            })
            .collect()
    })
}

fn routes(manifest: &Manifest) -> Result<Router> {
    let served = manifest.served();
    let mut router = Router::default();
    for trigger in &manifest.triggers.http {
        let index = served
            .iter()
            .position(|id| *id == trigger.component)
            .context("a trigger without component")?;
        router.add(&trigger.route, index)?;
    }
    Ok(router)
}

/// Files that several components may share.
struct Stores<'a> {
    data_dir: &'a Path,
    watch: Arc<Watch>,
    databases: HashMap<String, Arc<Database>>,
    key_values: HashMap<String, Arc<KeyValueStore>>,
}

impl Stores<'_> {
    fn database(&mut self, label: &str) -> Result<Arc<Database>> {
        if let Some(database) = self.databases.get(label) {
            return Ok(database.clone());
        }
        let database = Database::check(database_file(self.data_dir, label), self.watch.clone())?;
        self.databases.insert(label.to_owned(), database.clone());
        Ok(database)
    }

    fn key_value(&mut self, label: &str) -> Result<Arc<KeyValueStore>> {
        if let Some(store) = self.key_values.get(label) {
            return Ok(store.clone());
        }
        let store = KeyValueStore::check(key_value_file(self.data_dir, label))?;
        self.key_values.insert(label.to_owned(), store.clone());
        Ok(store)
    }

    fn files(&self) -> Vec<PathBuf> {
        let databases = self
            .databases
            .keys()
            .map(|label| database_file(self.data_dir, label));
        let mut files: Vec<_> = databases
            .chain(
                self.key_values
                    .keys()
                    .map(|label| key_value_file(self.data_dir, label)),
            )
            .collect();
        files.sort();
        files
    }
}

fn grants(id: &str, entry: &Entry, resolver: &Resolver, stores: &mut Stores<'_>) -> Result<Grants> {
    let mut variables = HashMap::new();
    for (name, template) in &entry.variables {
        let value = resolver
            .fill(template)
            .with_context(|| format!("component `{id}`, variable `{name}`"))?;
        variables.insert(name.clone(), value);
    }
    let patterns: Vec<String> = entry
        .allowed_outbound_hosts
        .iter()
        .map(|pattern| resolver.fill(pattern))
        .collect::<Result<_, _>>()?;
    let allowed_hosts =
        AllowedHosts::parse(&patterns).with_context(|| format!("component `{id}`"))?;
    let databases = entry
        .sqlite_databases
        .iter()
        .map(|label| Ok((label.clone(), stores.database(label)?)))
        .collect::<Result<_>>()?;
    let key_values = entry
        .key_value_stores
        .iter()
        .map(|label| Ok((label.clone(), stores.key_value(label)?)))
        .collect::<Result<_>>()?;
    Ok(Grants {
        id: id.into(),
        variables,
        environment: entry.environment.clone().into_iter().collect(),
        allowed_hosts: Arc::new(allowed_hosts),
        databases,
        stores: key_values,
    })
}

/// A component and its dependencies, with the bytes of their files.
fn assemble(app: &Application, id: &str, build_missing: bool) -> Result<Assembly> {
    let entry = &app.manifest().components[id];
    let mut parts = Vec::new();
    for (import, dependency) in &entry.dependencies {
        let bytes = match (&dependency.component, &dependency.path) {
            (Some(other), _) => source(app, other, build_missing)?,
            (None, Some(path)) => app
                .file(path)
                .read()
                .with_context(|| format!("dependency `{import}` of component `{id}`"))?,
            (None, None) => bail!(
                "component `{id}`: the dependency `{import}` needs either `component` or `path`"
            ),
        };
        parts.push(Part {
            import: import.clone(),
            export: dependency.export.clone(),
            bytes,
        });
    }
    Ok(Assembly {
        id: id.to_owned(),
        bytes: source(app, id, build_missing)?,
        parts,
        no_environment: entry.environment.is_empty(),
    })
}

fn source(app: &Application, id: &str, build_missing: bool) -> Result<Cow<'static, [u8]>> {
    let entry = &app.manifest().components[id];
    let file = app.file(&entry.source);
    if !file.exists() {
        let commands = entry
            .build
            .as_ref()
            .map(|build| build.command.list())
            .unwrap_or_default();
        if commands.is_empty() {
            bail!("component `{id}`: {file} does not exist");
        }
        if !build_missing {
            bail!(
                "component `{id}`: {file} does not exist; build it with: {}",
                commands.join(" && ")
            );
        }
        build(app.manifest(), id, &commands)?;
    }
    file.read()
        .with_context(|| format!("component `{id}`: {file}"))
}

fn build(manifest: &Manifest, id: &str, commands: &[&str]) -> Result<()> {
    let workdir = manifest.components[id]
        .build
        .as_ref()
        .and_then(|build| build.workdir.clone())
        .unwrap_or_default();
    for command in commands {
        tracing::info!(component = id, "building: {command}");
        let status = Command::new("sh")
            .arg("-c")
            .arg(command)
            .current_dir(manifest.folder.join(&workdir))
            .status();
        let status = status.with_context(|| format!("component `{id}`: cannot run `{command}`"))?;
        if !status.success() {
            bail!("component `{id}`: `{command}` failed ({status})");
        }
    }
    Ok(())
}
