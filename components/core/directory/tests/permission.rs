//! Permissions: the table of actions by rights, and what a decision rests on.

use directory::{
    Check, Code, Entry, Head, Kind, State,
    permission::{Action, Actor, Decision, MemberRights, checks, may_act_on, permission, require},
    role::{Grant, Permission, Role},
    server::Server,
};
use identifiers::{ServerId, UserId};

fn server(private: bool) -> (Server, State) {
    let head = Head {
        revision: 7,
        version: 3,
        plugins_revision: 1,
        owner: Some("owner".to_owned()),
        created_at: 1,
        updated_at: 2,
        doc: format!(r#"{{"name":"Room","private":{private}}}"#),
    };
    let state = State {
        head: Some(head),
        ..State::default()
    };
    (
        Server::from_state(&ServerId::new("s1").unwrap(), &state).unwrap(),
        state,
    )
}

fn actor(name: &str) -> Actor {
    Actor {
        user: Some(UserId::new(name).unwrap()),
        admin: false,
        proven: true,
    }
}

fn entry(kind: Kind, key: &str, version: u64, doc: &impl serde::Serialize) -> Entry {
    Entry {
        kind,
        key: key.to_owned(),
        version,
        doc: serde_json::to_string(doc).unwrap(),
    }
}

/// A state in which `mod` holds the role `r` with these permissions.
fn with_role(permissions: &[Permission]) -> (Server, State) {
    let (server, mut state) = server(true);
    state.entries.push(entry(
        Kind::Role,
        "r",
        5,
        &Role {
            name: "R".to_owned(),
            permissions: permissions.to_vec(),
        },
    ));
    state.entries.push(entry(
        Kind::Grant,
        "mod",
        6,
        &Grant {
            roles: vec!["r".to_owned(), "gone".to_owned()],
        },
    ));
    state.entries.push(entry(
        Kind::Member,
        "mod",
        4,
        &serde_json::json!({"joinedAt": 1, "way": "open"}),
    ));
    (server, state)
}

#[test]
fn the_table_of_actions() {
    use Action::{ManageMembers, ManageServer, Own, View, ViewMembers};
    use Decision::{Allow, Forbidden, Unauthenticated};
    let nobody = MemberRights::default();
    let member = MemberRights {
        member: true,
        ..nobody
    };
    let bouncer = MemberRights {
        manages_members: true,
        ..member
    };
    let moderator = MemberRights {
        manages_server: true,
        manages_members: true,
        ..member
    };
    let owner = MemberRights {
        owner: true,
        ..nobody
    };
    let actions = [View, ViewMembers, ManageMembers, ManageServer, Own];
    let rows = [
        (true, nobody, [Forbidden; 5]),
        (
            false,
            nobody,
            [Allow, Forbidden, Forbidden, Forbidden, Forbidden],
        ),
        (
            true,
            member,
            [Allow, Allow, Forbidden, Forbidden, Forbidden],
        ),
        (true, bouncer, [Allow, Allow, Allow, Forbidden, Forbidden]),
        (true, moderator, [Allow, Allow, Allow, Allow, Forbidden]),
        (true, owner, [Allow; 5]),
    ];
    for (private, rights, wanted) in rows {
        let (server, _) = server(private);
        let found = actions.map(|action| permission(&actor("x"), &server, rights, action));
        assert_eq!(found, wanted, "{rights:?}");
        let admin = Actor {
            admin: true,
            ..actor("x")
        };
        assert_eq!(
            actions.map(|action| permission(&admin, &server, rights, action)),
            [Allow; 5]
        );
    }
    let (server, _) = server(true);
    assert_eq!(
        actions.map(|action| permission(&Actor::default(), &server, nobody, action)),
        [Unauthenticated; 5]
    );
}

#[test]
fn rights_come_from_roles_that_exist() {
    let (server, state) = with_role(&[Permission::ManageServer]);
    assert!(require(&actor("mod"), &server, &state, Action::ManageServer).is_ok());
    let (server, state) = with_role(&[Permission::ManageMembers]);
    let refusal = require(&actor("mod"), &server, &state, Action::ManageServer).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.details["needs"].as_str()),
        (Code::Forbidden, Some("manageServer"))
    );
    assert!(require(&actor("mod"), &server, &state, Action::ManageMembers).is_ok());
    let (server, mut state) = with_role(&[Permission::ManageServer]);
    state.entries.retain(|entry| entry.kind != Kind::Role);
    assert!(
        require(&actor("mod"), &server, &state, Action::ManageMembers).is_err(),
        "the role is gone, its grant is empty"
    );
}

#[test]
fn a_decision_rests_on_the_entries_it_read() {
    let (server, state) = with_role(&[Permission::ManageServer]);
    let moderator = actor("mod");
    let rights = MemberRights::from_state(&state, &server, moderator.user.as_ref().unwrap());
    let found = checks(&moderator, &state, rights);
    let of = |kind, key: &str, version| Check::Entry {
        kind,
        key: key.to_owned(),
        version,
    };
    assert_eq!(
        found,
        [
            Check::Head { version: 3 },
            of(Kind::Grant, "mod", 6),
            of(Kind::Role, "r", 5),
            of(Kind::Role, "gone", 0)
        ]
    );
    let owner = actor("owner");
    let rights = MemberRights::from_state(&state, &server, owner.user.as_ref().unwrap());
    assert_eq!(checks(&owner, &state, rights), [Check::Head { version: 3 }]);
}

#[test]
fn people_with_rights_are_protected() {
    let bouncer = MemberRights {
        manages_members: true,
        ..MemberRights::default()
    };
    let moderator = MemberRights {
        manages_server: true,
        manages_members: true,
        ..MemberRights::default()
    };
    let owner = MemberRights {
        owner: true,
        ..MemberRights::default()
    };
    let admin = Actor {
        admin: true,
        ..actor("x")
    };
    assert_eq!(
        may_act_on(&admin, MemberRights::default(), owner)
            .unwrap_err()
            .code,
        Code::OwnerCannotLeave
    );
    assert_eq!(
        may_act_on(&actor("x"), bouncer, moderator)
            .unwrap_err()
            .code,
        Code::Forbidden
    );
    assert!(
        may_act_on(&actor("x"), bouncer, bouncer).is_ok()
            && may_act_on(&actor("x"), moderator, moderator).is_ok()
    );
    assert!(
        may_act_on(&actor("x"), owner, moderator).is_ok()
            && may_act_on(&admin, MemberRights::default(), moderator).is_ok()
    );
}
