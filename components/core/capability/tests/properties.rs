//! What holds for every policy: a denial never widens, a grant never narrows, what is not declared is never allowed.

use capability::{
    CapabilityId, CapabilityUse, DefaultOutcome, HostPattern, KillSwitches, Mode, Outcome,
    PluginRules, Policy, Rules, Scope, ScopeKey, Target, decide,
};
use proptest::{prelude::*, sample::select};

const HOSTS: [&str; 5] = ["a.org", "b.a.org", "*.a.org", "*", "c.net"];
const IDS: [CapabilityId; 4] = [
    CapabilityId::HttpFetch,
    CapabilityId::StorageKv,
    CapabilityId::LogWrite,
    CapabilityId::HooksSubscribe,
];

type Entry = (CapabilityId, Scope);

fn scope() -> impl Strategy<Value = Scope> {
    let hosts = prop::option::of(prop::collection::vec(
        select(&HOSTS[..]).prop_map(str::to_owned),
        0..3,
    ));
    let ports = prop::option::of(prop::collection::vec(select(&[80_u16, 443][..]), 0..2));
    let names = prop::option::of(prop::collection::vec(
        select(&["a", "ab", "a*", "b"][..]).prop_map(str::to_owned),
        0..3,
    ));
    let paths = prop::option::of(prop::collection::vec(
        select(&["/a", "/a/b", "/", "*"][..]).prop_map(str::to_owned),
        0..3,
    ));
    (hosts, ports, names, paths).prop_map(|(hosts, ports, names, paths)| Scope {
        hosts,
        ports,
        names,
        paths,
        methods: None,
    })
}

/// The part of a scope that the capability takes.
fn fitting(id: CapabilityId, scope: Scope) -> Scope {
    fn taken<T>(id: CapabilityId, key: ScopeKey, list: Option<Vec<T>>) -> Option<Vec<T>> {
        list.filter(|list| !list.is_empty() && id.entry().scope.contains(&key))
    }
    Scope {
        hosts: taken(id, ScopeKey::Hosts, scope.hosts),
        methods: taken(id, ScopeKey::Methods, scope.methods),
        ports: taken(id, ScopeKey::Ports, scope.ports),
        paths: taken(id, ScopeKey::Paths, scope.paths),
        names: taken(id, ScopeKey::Names, scope.names),
    }
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(
        (
            select(&IDS[..]),
            prop_oneof![Just(Scope::default()), scope()],
        )
            .prop_map(|(id, scope)| (id, fitting(id, scope))),
        0..5,
    )
}

fn compiled(entries: &[Entry]) -> Rules {
    Rules::new(entries.iter().map(|(id, scope)| (*id, scope))).unwrap()
}

#[derive(Debug, Clone)]
struct World {
    declared: Vec<Entry>,
    denied: Vec<Entry>,
    granted: Vec<Entry>,
    global: Vec<Entry>,
    allow: Vec<Entry>,
    default: Option<DefaultOutcome>,
    mode: Mode,
    own_mode: Option<Mode>,
    skip_hooks: bool,
}

impl World {
    fn decide(&self, asked: &CapabilityUse<'_>) -> Outcome {
        let plugin = PluginRules {
            switch_name: "".into(),
            declared: compiled(&self.declared),
            denied: compiled(&self.denied),
            granted: compiled(&self.granted),
            mode: self.own_mode,
        };
        let mut kill = KillSwitches::default();
        kill.skip_hooks = self.skip_hooks.then(|| "X".into());
        let policy = Policy {
            kill,
            deny: compiled(&self.global),
            allow: compiled(&self.allow),
            default: self.default,
            mode: self.mode,
        };
        decide(asked, &plugin, &policy).outcome
    }
}

fn world() -> impl Strategy<Value = World> {
    let default = prop::option::of(select(
        &[
            DefaultOutcome::Allow,
            DefaultOutcome::Deny,
            DefaultOutcome::Ask,
        ][..],
    ));
    let lists = (entries(), entries(), entries(), entries(), entries());
    (
        lists,
        default,
        select(&Mode::ALL[..]),
        prop::option::of(select(&Mode::ALL[..])),
        any::<bool>(),
    )
        .prop_map(
            |((declared, denied, granted, global, allow), default, mode, own_mode, skip_hooks)| {
                World {
                    declared,
                    denied,
                    granted,
                    global,
                    allow,
                    default,
                    mode,
                    own_mode,
                    skip_hooks,
                }
            },
        )
}

fn asked() -> impl Strategy<Value = CapabilityUse<'static>> {
    let host = prop::option::of(select(&["a.org", "b.a.org", "c.net", "d.net"][..]));
    let port = prop::option::of(select(&[80_u16, 443][..]));
    let name = prop::option::of(select(&["a", "ab", "b", "c"][..]));
    let path = prop::option::of(select(&["/a", "/a/b", "/a/../c", "/ab"][..]));
    (select(&IDS[..]), host, port, name, path).prop_map(|(id, host, port, name, path)| {
        CapabilityUse::new(
            id,
            Target {
                host,
                port,
                method: None,
                path,
                name,
            },
        )
    })
}

/// Deny, ask, allow: from the narrowest to the widest.
fn width(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Deny => 0,
        Outcome::Ask => 1,
        Outcome::Allow => 2,
    }
}

proptest! {
    #[test]
    fn a_denial_never_widens(world in world(), entry in entries(), global: bool, asked in asked()) {
        let mut stricter = world.clone();
        if global { stricter.global.extend(entry) } else { stricter.denied.extend(entry) }
        prop_assert!(width(stricter.decide(&asked)) <= width(world.decide(&asked)));
    }

    #[test]
    fn a_grant_never_narrows(world in world(), entry in entries(), asked in asked()) {
        let mut wider = world.clone();
        wider.granted.extend(entry);
        prop_assert!(width(wider.decide(&asked)) >= width(world.decide(&asked)));
    }

    #[test]
    fn what_is_not_declared_is_never_allowed(mut world in world(), asked in asked()) {
        world.declared.retain(|(id, _)| *id != asked.id);
        let outcome = world.decide(&asked);
        prop_assert!(outcome == Outcome::Deny || asked.id == CapabilityId::LogWrite);
    }

    #[test]
    fn a_list_covers_what_one_of_its_entries_covers(entries in entries(), asked in asked()) {
        let alone = entries.iter().any(|entry| compiled(std::slice::from_ref(entry)).covers(&asked));
        prop_assert_eq!(compiled(&entries).covers(&asked), alone);
    }

    #[test]
    fn compiled_hosts_agree_with_the_patterns(
        patterns in prop::collection::vec("(\\*\\.)?[a-c]{1,2}(\\.[a-c]{1,2}){0,2}|\\*", 1..5),
        host in "[a-cA-C]{1,2}(\\.[a-cA-C]{1,2}){0,3}\\.?",
    ) {
        let scope = Scope { hosts: Some(patterns.clone()), ..Scope::default() };
        let rules = Rules::new([(CapabilityId::HttpFetch, &scope)]).unwrap();
        let expected = patterns.iter().any(|pattern| HostPattern::parse(pattern).unwrap().matches(&host));
        prop_assert_eq!(rules.covers(&CapabilityUse::new(CapabilityId::HttpFetch, Target::host(&host, 443))), expected);
    }
}
