//! Who gets in: every combination of facts against the rules as sentences.

use directory::{
    Code,
    join::{Knock, Verdict, decide},
    permission::Standing,
    person::Way,
};

/// All combinations of the facts that matter.
fn knocks() -> Vec<Knock> {
    let flags = |bits: u32, bit: u32| bits & (1 << bit) != 0;
    let option = |value: u32| [None, Some(false), Some(true)][value as usize];
    let mut all = Vec::new();
    for bits in 0..1 << 9 {
        for invite in 0..3 {
            for right in 0..3 {
                all.push(Knock {
                    standing: Standing {
                        owner: flags(bits, 0),
                        member: flags(bits, 1),
                        banned: flags(bits, 2),
                        ..Standing::default()
                    },
                    admin: flags(bits, 3),
                    private: flags(bits, 4),
                    has_password: flags(bits, 5),
                    full: flags(bits, 6),
                    requested: flags(bits, 7),
                    invite: option(invite),
                    password_given: flags(bits, 8),
                    password_right: option(right),
                });
            }
        }
    }
    all
}

#[test]
fn owners_and_operators_are_inside_whatever_else_holds() {
    for knock in knocks()
        .iter()
        .filter(|knock| knock.standing.owner || knock.admin)
    {
        assert_eq!(decide(knock), Verdict::Inside, "{knock:?}");
    }
}

#[test]
fn the_banned_stay_out_whatever_they_show() {
    for knock in knocks()
        .iter()
        .filter(|knock| knock.standing.banned && !knock.standing.owner && !knock.admin)
    {
        assert_eq!(decide(knock), Verdict::Refuse(Code::Banned), "{knock:?}");
    }
}

#[test]
fn strangers_get_in_by_exactly_one_way_each() {
    let strangers = knocks().into_iter().filter(|knock| {
        !(knock.standing.owner || knock.admin || knock.standing.banned || knock.standing.member)
    });
    for knock in strangers {
        let verdict = decide(&knock);
        match verdict {
            Verdict::Admit(way) => {
                assert!(!knock.full, "a full server admits nobody: {knock:?}");
                let reason = match way {
                    Way::Invite => knock.invite == Some(true),
                    Way::Password => {
                        knock.has_password
                            && knock.password_given
                            && knock.password_right == Some(true)
                    }
                    Way::Open => !knock.private && !knock.has_password,
                    Way::Created | Way::Approved => false,
                };
                assert!(reason, "{way:?} without its reason: {knock:?}");
            }
            Verdict::ComparePassword => {
                assert!(
                    knock.has_password
                        && knock.password_given
                        && knock.password_right.is_none()
                        && !knock.full,
                    "{knock:?}"
                );
            }
            Verdict::Inside => panic!("a stranger is not inside: {knock:?}"),
            Verdict::Refuse(code) => {
                let closed = knock.private || knock.has_password || knock.full;
                assert!(
                    closed,
                    "an open server with room refuses nobody: {knock:?} {code}"
                );
            }
        }
    }
}

#[test]
fn refusals_name_what_is_missing() {
    let private = Knock {
        private: true,
        ..Knock::default()
    };
    let with_password = Knock {
        has_password: true,
        ..private
    };
    for (knock, code) in [
        (private, Code::InviteRequired),
        (
            Knock {
                requested: true,
                ..private
            },
            Code::RequestPending,
        ),
        (
            Knock {
                invite: Some(false),
                ..private
            },
            Code::InviteInvalid,
        ),
        (with_password, Code::PasswordRequired),
        (
            Knock {
                requested: true,
                ..with_password
            },
            Code::PasswordRequired,
        ),
        (
            Knock {
                password_given: true,
                password_right: Some(false),
                ..with_password
            },
            Code::PasswordInvalid,
        ),
        (
            Knock {
                has_password: true,
                ..Knock::default()
            },
            Code::PasswordRequired,
        ),
        (
            Knock {
                full: true,
                ..Knock::default()
            },
            Code::Full,
        ),
    ] {
        assert_eq!(decide(&knock), Verdict::Refuse(code), "{knock:?}");
    }
}
