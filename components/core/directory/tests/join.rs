//! Who gets in: every combination of facts against the rules as sentences.

use directory::{
    Code,
    join::{JoinFacts, Verdict, decide},
    permission::MemberRights,
    person::JoinMethod,
};

/// All combinations of the facts that matter.
fn knocks() -> Vec<JoinFacts> {
    let flags = |bits: u32, bit: u32| bits & (1 << bit) != 0;
    let option = |value: u32| [None, Some(false), Some(true)][value as usize];
    let mut all = Vec::new();
    for bits in 0..1 << 9 {
        for invite in 0..3 {
            for right in 0..3 {
                all.push(JoinFacts {
                    rights: MemberRights {
                        owner: flags(bits, 0),
                        member: flags(bits, 1),
                        banned: flags(bits, 2),
                        ..MemberRights::default()
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
    for facts in knocks()
        .iter()
        .filter(|facts| facts.rights.owner || facts.admin)
    {
        assert_eq!(decide(facts), Verdict::Inside, "{facts:?}");
    }
}

#[test]
fn the_banned_stay_out_whatever_they_show() {
    for facts in knocks()
        .iter()
        .filter(|facts| facts.rights.banned && !facts.rights.owner && !facts.admin)
    {
        assert_eq!(decide(facts), Verdict::Refuse(Code::Banned), "{facts:?}");
    }
}

#[test]
fn strangers_get_in_by_exactly_one_way_each() {
    let strangers = knocks().into_iter().filter(|facts| {
        !(facts.rights.owner || facts.admin || facts.rights.banned || facts.rights.member)
    });
    for facts in strangers {
        let verdict = decide(&facts);
        match verdict {
            Verdict::Admit(way) => {
                assert!(!facts.full, "a full server admits nobody: {facts:?}");
                let reason = match way {
                    JoinMethod::Invite => facts.invite == Some(true),
                    JoinMethod::Password => {
                        facts.has_password
                            && facts.password_given
                            && facts.password_right == Some(true)
                    }
                    JoinMethod::Open => !facts.private && !facts.has_password,
                    JoinMethod::Created | JoinMethod::Approved => false,
                };
                assert!(reason, "{way:?} without its reason: {facts:?}");
            }
            Verdict::ComparePassword => {
                assert!(
                    facts.has_password
                        && facts.password_given
                        && facts.password_right.is_none()
                        && !facts.full,
                    "{facts:?}"
                );
            }
            Verdict::Inside => panic!("a stranger is not inside: {facts:?}"),
            Verdict::Refuse(code) => {
                let closed = facts.private || facts.has_password || facts.full;
                assert!(
                    closed,
                    "an open server with room refuses nobody: {facts:?} {code}"
                );
            }
        }
    }
}

#[test]
fn refusals_name_what_is_missing() {
    let private = JoinFacts {
        private: true,
        ..JoinFacts::default()
    };
    let with_password = JoinFacts {
        has_password: true,
        ..private
    };
    for (facts, code) in [
        (private, Code::InviteRequired),
        (
            JoinFacts {
                requested: true,
                ..private
            },
            Code::RequestPending,
        ),
        (
            JoinFacts {
                invite: Some(false),
                ..private
            },
            Code::InviteInvalid,
        ),
        (with_password, Code::PasswordRequired),
        (
            JoinFacts {
                requested: true,
                ..with_password
            },
            Code::PasswordRequired,
        ),
        (
            JoinFacts {
                password_given: true,
                password_right: Some(false),
                ..with_password
            },
            Code::PasswordInvalid,
        ),
        (
            JoinFacts {
                has_password: true,
                ..JoinFacts::default()
            },
            Code::PasswordRequired,
        ),
        (
            JoinFacts {
                full: true,
                ..JoinFacts::default()
            },
            Code::Full,
        ),
    ] {
        assert_eq!(decide(&facts), Verdict::Refuse(code), "{facts:?}");
    }
}
