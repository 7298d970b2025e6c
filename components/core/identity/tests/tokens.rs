//! Tokens and keys: what verifies, and each way in which it does not.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use identifiers::UserId;
use identity::{
    Expectations, KeyError, KeySet, NewToken, PublicKey, Role, ServiceCredential, SharedSecret,
    SigningKey, TokenError, Verifier, sign,
};
use serde_json::{Value, json};
use sha2::Sha256;

const NOW: u64 = 1_800_000_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn token(role: Role) -> NewToken {
    NewToken {
        user_id: UserId::new("alice").unwrap(),
        role,
        issued_at_s: NOW,
        lifetime_s: 3_600,
        audience: Some("jackfield".to_owned()),
        issuer: Some("me".to_owned()),
    }
}

fn verifier() -> Verifier {
    Verifier::new(Expectations::default()).with_public_key(&key(1).public_key())
}

/// A token by hand: `head` and `body` as given, HS256 over them.
fn hs256(head: &Value, body: &str, secret: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(head.to_string()),
        URL_SAFE_NO_PAD.encode(body)
    );
    let mac = Hmac::<Sha256>::new_from_slice(secret)
        .unwrap()
        .chain_update(&message)
        .finalize();
    let signature = URL_SAFE_NO_PAD.encode(mac.into_bytes());
    format!("{message}.{signature}")
}

const SECRET: &str = "a secret that is long enough for HS256";

fn by_secret() -> Verifier {
    Verifier::new(Expectations::default()).with_secret(&SharedSecret::new(SECRET).unwrap())
}

fn said(body: &Value) -> String {
    hs256(
        &json!({"alg": "HS256"}),
        &body.to_string(),
        SECRET.as_bytes(),
    )
}

#[test]
fn a_signed_token_verifies_and_says_who() {
    let text = sign(&key(1), &token(Role::Admin)).unwrap();
    let claims = verifier().verify(&text, NOW).unwrap();
    assert_eq!(
        (claims.user_id.as_str(), claims.role, claims.expires_at_s),
        ("alice", Role::Admin, NOW + 3_600)
    );
    let claims = verifier()
        .verify(&sign(&key(1), &token(Role::Client)).unwrap(), NOW)
        .unwrap();
    assert_eq!(claims.role, Role::Client);
}

#[test]
fn keys_survive_their_document_and_rotate() {
    let pem = key(7).to_pem().unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(
        SigningKey::from_pem(&pem).unwrap().public_key(),
        key(7).public_key()
    );
    // Version 1 of RFC 5958, which every library reads: a sequence of 46 bytes that begins with the integer 0.
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>()).expect("base64");
    assert_eq!((der.len(), &der[..5]), (48, &[0x30, 46, 2, 1, 0][..]));
    assert_eq!(
        SigningKey::from_pem("nonsense").unwrap_err(),
        KeyError::Document
    );

    let listed = format!("{} , {}", key(1).public_key(), key(2).public_key());
    let keys = PublicKey::parse_list(&listed).unwrap();
    let both = keys.iter().fold(Verifier::default(), |verifier, key| {
        verifier.with_public_key(key)
    });
    for seed in [1, 2] {
        assert!(
            both.verify(&sign(&key(seed), &token(Role::Client)).unwrap(), NOW)
                .is_ok()
        );
    }
    assert!(PublicKey::parse_list("").unwrap().is_empty());
}

/// `Ed25519` is the name of EdDSA with its curve (RFC 9864), in key sets and in tokens.
#[test]
fn the_algorithm_may_be_named_with_its_curve() {
    let key = key(5);
    let set = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "kid": "new", "x": key.public_key().to_string()},
    ]});
    let set = KeySet::parse(set.to_string().as_bytes()).expect("a usable key");
    let verifier = Verifier::default().with_key_set(&set);
    for algorithm in ["Ed25519", "EdDSA"] {
        let head = json!({"alg": algorithm, "kid": "new"}).to_string();
        let claims = json!({"sub": "alice", "exp": NOW + 60}).to_string();
        let message = [head, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let signature = identity::proof::sign(&key, message.as_bytes());
        let verified = verifier.verify(&format!("{message}.{signature}"), NOW);
        assert_eq!(
            verified.expect("right").user_id.as_str(),
            "alice",
            "{algorithm}"
        );
    }
    // A key that is not known is told as that, also beside a key of the host itself, which has no id.
    let beside = verifier.clone().with_public_key(&self::key(1).public_key());
    let message = [
        json!({"alg": "EdDSA", "kid": "newer"}),
        json!({"sub": "alice", "exp": NOW + 60}),
    ]
    .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
    .join(".");
    let newer = self::key(6);
    let token = format!(
        "{message}.{}",
        identity::proof::sign(&newer, message.as_bytes())
    );
    for verifier in [&verifier, &beside] {
        assert_eq!(verifier.verify(&token, NOW), Err(TokenError::UnknownKey));
    }
    // Another issuer makes no operators, unless the configuration says so.
    let message = [
        json!({"alg": "EdDSA"}),
        json!({"sub": "alice", "exp": NOW + 60, "role": "admin"}),
    ]
    .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
    .join(".");
    let token = format!(
        "{message}.{}",
        identity::proof::sign(&key, message.as_bytes())
    );
    for (key_set_roles, role) in [(false, Role::Client), (true, Role::Admin)] {
        let expectations = Expectations {
            key_set_roles,
            ..Expectations::default()
        };
        let verifier = Verifier::new(expectations).with_key_set(&set);
        assert_eq!(verifier.verify(&token, NOW).expect("right").role, role);
    }
    let other = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "ES256", "x": key.public_key().to_string()}]});
    let _ = KeySet::parse(other.to_string().as_bytes()).expect_err("another algorithm");
}

#[test]
fn another_key_or_a_changed_token_is_refused() {
    let text = sign(&key(2), &token(Role::Client)).unwrap();
    assert_eq!(verifier().verify(&text, NOW), Err(TokenError::Signature));

    let text = sign(&key(1), &token(Role::Client)).unwrap();
    let parts: Vec<&str> = text.split('.').collect();
    let forged = URL_SAFE_NO_PAD
        .encode(json!({"sub": "mallory", "role": "admin", "exp": NOW + 60}).to_string());
    assert_eq!(
        verifier().verify(&format!("{}.{forged}.{}", parts[0], parts[2]), NOW),
        Err(TokenError::Signature)
    );
    assert_eq!(
        verifier().verify(&format!("{}.{}.", parts[0], parts[1]), NOW),
        Err(TokenError::Signature)
    );
}

#[test]
fn what_was_good_once_is_checked_all_the_same() {
    let text = sign(&key(1), &token(Role::Admin)).unwrap();
    let verifier = verifier();
    for _ in 0..2 {
        assert_eq!(verifier.verify(&text, NOW).unwrap().role, Role::Admin);
    }
    assert_eq!(
        verifier.verify(&text, NOW + 10_000),
        Err(TokenError::Expired),
        "times are compared each time"
    );
    let changed = format!(
        "{}{}",
        &text[..text.len() - 2],
        if text.ends_with("AA") { "BA" } else { "AA" }
    );
    assert_eq!(verifier.verify(&changed, NOW), Err(TokenError::Signature));
    let others = Verifier::new(Expectations::default()).with_public_key(&key(2).public_key());
    assert_eq!(
        others.verify(&text, NOW),
        Err(TokenError::Signature),
        "other keys know nothing of it"
    );
    let elsewhere = || Expectations {
        audience: Some("elsewhere".to_owned()),
        ..Expectations::default()
    };
    let own = Verifier::new(elsewhere()).with_public_key(&key(1).public_key());
    assert!(
        own.verify(&text, NOW).is_ok(),
        "the host's own token is for it"
    );
    let set = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "x": key(1).public_key().to_string()},
    ]});
    let set = KeySet::parse(set.to_string().as_bytes()).expect("a usable key");
    let strict = Verifier::new(elsewhere()).with_key_set(&set);
    for _ in 0..2 {
        assert_eq!(strict.verify(&text, NOW), Err(TokenError::Audience));
    }
    // More of them than are remembered, and one too long to be.
    let named = |name: String| NewToken {
        user_id: UserId::new(name).unwrap(),
        ..token(Role::Client)
    };
    for at in 0..limits::identity::TOKENS_REMEMBERED_MAX + 10 {
        let text = sign(&key(1), &named(format!("user-{at}"))).unwrap();
        assert_eq!(
            verifier.verify(&text, NOW).unwrap().user_id.as_str(),
            format!("user-{at}")
        );
    }
    assert_eq!(
        verifier.verify(&text, NOW).unwrap().user_id.as_str(),
        "alice"
    );
    let long = said(
        &json!({"sub": "long", "exp": NOW + 10, "padding": "x".repeat(limits::identity::TOKEN_REMEMBERED_BYTES_MAX)}),
    );
    for _ in 0..2 {
        assert_eq!(
            by_secret().verify(&long, NOW).unwrap().user_id.as_str(),
            "long"
        );
    }
}

#[test]
fn the_algorithm_belongs_to_the_key() {
    // `none`, in its spellings.
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string());
        let body = URL_SAFE_NO_PAD.encode(json!({"sub": "alice", "exp": NOW + 60}).to_string());
        assert_eq!(
            verifier().verify(&format!("{head}.{body}."), NOW),
            Err(TokenError::Algorithm),
            "{alg:?}"
        );
    }
    // The public key as a shared secret.
    let public = key(1).public_key();
    let body = json!({"sub": "alice", "exp": NOW + 60}).to_string();
    for secret in [public.as_bytes().to_vec(), public.to_string().into_bytes()] {
        let text = hs256(&json!({"alg": "HS256"}), &body, &secret);
        assert_eq!(verifier().verify(&text, NOW), Err(TokenError::Algorithm));
        let text = hs256(&json!({"alg": "EdDSA"}), &body, &secret);
        assert_eq!(verifier().verify(&text, NOW), Err(TokenError::Signature));
    }
    // Algorithms that exist and are not used here.
    let text = hs256(&json!({"alg": "HS512"}), &body, SECRET.as_bytes());
    assert_eq!(by_secret().verify(&text, NOW), Err(TokenError::Algorithm));
    // Extensions that must be understood are not.
    let text = hs256(
        &json!({"alg": "HS256", "crit": ["b64"], "b64": false}),
        &body,
        SECRET.as_bytes(),
    );
    assert_eq!(by_secret().verify(&text, NOW), Err(TokenError::Extension));
}

#[test]
fn times_are_those_of_the_caller() {
    let text = said(&json!({"sub": "alice", "exp": NOW}));
    assert!(
        by_secret().verify(&text, NOW + 60).is_ok(),
        "clocks may differ by a minute"
    );
    assert_eq!(
        by_secret().verify(&text, NOW + 61),
        Err(TokenError::Expired)
    );
    let text = said(&json!({"sub": "alice", "exp": NOW + 600, "nbf": NOW + 61}));
    assert_eq!(by_secret().verify(&text, NOW), Err(TokenError::NotYet));
    assert!(by_secret().verify(&text, NOW + 1).is_ok());
    let text = said(&json!({"sub": "alice", "exp": 1_800_000_100.5, "nbf": null}));
    assert!(
        by_secret().verify(&text, NOW).is_ok(),
        "a fraction of a second is a legal date"
    );
}

#[test]
fn claims_must_be_there_and_of_their_type() {
    for (body, wanted) in [
        (json!({"sub": "alice"}), TokenError::Claim { claim: "exp" }),
        (
            json!({"sub": "alice", "exp": "tomorrow"}),
            TokenError::Claim { claim: "exp" },
        ),
        (
            json!({"sub": "alice", "exp": -1}),
            TokenError::Claim { claim: "exp" },
        ),
        (
            json!({"sub": "alice", "exp": 1e300}),
            TokenError::Claim { claim: "exp" },
        ),
        (json!({"exp": NOW + 60}), TokenError::Claim { claim: "sub" }),
        (
            json!({"sub": 7, "exp": NOW + 60}),
            TokenError::Claim { claim: "sub" },
        ),
        (
            json!({"sub": "alice", "exp": NOW + 60, "nbf": "x"}),
            TokenError::Claim { claim: "nbf" },
        ),
        (json!([1]), TokenError::Malformed),
    ] {
        assert_eq!(by_secret().verify(&said(&body), NOW), Err(wanted), "{body}");
    }
    for sub in [" alice", "plugin:example.polls"] {
        assert!(
            matches!(
                by_secret().verify(&said(&json!({"sub": sub, "exp": NOW})), NOW),
                Err(TokenError::Subject { .. })
            ),
            "{sub:?} is no client's"
        );
    }
    let twice = hs256(
        &json!({"alg": "HS256"}),
        &format!(r#"{{"sub":"a","sub":"b","exp":{NOW}}}"#),
        SECRET.as_bytes(),
    );
    assert_eq!(by_secret().verify(&twice, NOW), Err(TokenError::Malformed));
    let odd_role = said(&json!({"sub": "alice", "exp": NOW, "role": ["admin"]}));
    assert_eq!(
        by_secret().verify(&odd_role, NOW).unwrap().role,
        Role::Client
    );
}

#[test]
fn audience_and_issuer_are_checked_where_configured() {
    let expecting = |audience: Option<&str>, issuer: Option<&str>| {
        Verifier::new(Expectations {
            audience: audience.map(Into::into),
            issuer: issuer.map(Into::into),
            ..Expectations::default()
        })
        .with_secret(&SharedSecret::new(SECRET).unwrap())
    };
    let text = said(&json!({"sub": "a", "exp": NOW, "aud": ["x", "jackfield"], "iss": "me"}));
    assert!(
        expecting(Some("jackfield"), Some("me"))
            .verify(&text, NOW)
            .is_ok()
    );
    assert!(expecting(None, None).verify(&text, NOW).is_ok());
    assert_eq!(
        expecting(Some("other"), None).verify(&text, NOW),
        Err(TokenError::Audience)
    );
    assert_eq!(
        expecting(None, Some("you")).verify(&text, NOW),
        Err(TokenError::Issuer)
    );
    let bare = said(&json!({"sub": "a", "exp": NOW}));
    assert_eq!(
        expecting(Some("jackfield"), None).verify(&bare, NOW),
        Err(TokenError::Audience)
    );
    assert_eq!(
        expecting(None, Some("me")).verify(&bare, NOW),
        Err(TokenError::Issuer)
    );
    let number = said(&json!({"sub": "a", "exp": NOW, "aud": 7}));
    assert_eq!(
        expecting(Some("jackfield"), None).verify(&number, NOW),
        Err(TokenError::Audience)
    );
}

#[test]
fn form_and_size_come_first() {
    assert_eq!(
        Verifier::default().verify("a.b.c", NOW),
        Err(TokenError::NoKeys)
    );
    for text in ["", "a", "a.b", "a.b.c.d", "!.b.c", "....", "\u{1f600}.a.b"] {
        assert_eq!(
            verifier().verify(text, NOW),
            Err(TokenError::Malformed),
            "{text:?}"
        );
    }
    let huge = "a".repeat(limits::identity::TOKEN_BYTES_MAX + 1);
    assert!(matches!(
        verifier().verify(&huge, NOW),
        Err(TokenError::TooLarge { .. })
    ));
}

#[test]
fn key_sets_verify_by_algorithm_and_id() {
    let set = KeySet::parse(include_bytes!("data/key-set.json")).unwrap();
    let tokens: Value = serde_json::from_str(include_str!("data/tokens.json")).unwrap();
    let verifier = Verifier::default().with_key_set(&set);
    let verdict = |name: &str| {
        verifier
            .verify(tokens[name].as_str().unwrap(), NOW)
            .map(|claims| claims.user_id.to_string())
    };
    for name in ["rs256", "es256", "eddsa", "rs256-without-kid"] {
        assert_eq!(verdict(name), Ok("alice".to_owned()), "{name}");
    }
    assert_eq!(verdict("rs256-other-kid"), Err(TokenError::UnknownKey));
    assert_eq!(
        verdict("rs256-by-encryption-key"),
        Err(TokenError::UnknownKey)
    );
    assert_eq!(verdict("es256-named-as-rs256"), Err(TokenError::Signature));
    // One changed bit, a signature that is no number below the modulus, and one of another length.
    for name in ["rs256", "es256", "eddsa"] {
        let (message, signature) = tokens[name].as_str().unwrap().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut changed = signature.clone();
        changed[signature.len() / 2] ^= 1;
        for wrong in [
            &changed[..],
            &vec![0xff; signature.len()],
            &signature[1..],
            &[],
        ] {
            let text = format!("{message}.{}", URL_SAFE_NO_PAD.encode(wrong));
            assert_eq!(
                verifier.verify(&text, NOW),
                Err(TokenError::Signature),
                "{name}"
            );
        }
    }
    // A symmetric key of a public document must never verify.
    let text = hs256(
        &json!({"alg": "HS256", "kid": "secret"}),
        &json!({"sub": "a", "exp": NOW}).to_string(),
        b"never used, symmetric keys do not belong here",
    );
    assert_eq!(verifier.verify(&text, NOW), Err(TokenError::Algorithm));
}

#[test]
fn key_sets_are_bounded_and_must_hold_something() {
    assert_eq!(KeySet::parse(b"[]").unwrap_err(), KeyError::SetSyntax);
    assert_eq!(
        KeySet::parse(br#"{"keys":[]}"#).unwrap_err(),
        KeyError::SetEmpty
    );
    assert_eq!(
        KeySet::parse(br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"},7]}"#).unwrap_err(),
        KeyError::SetEmpty
    );
    assert!(matches!(
        KeySet::parse(&vec![b' '; 65 * 1024]).unwrap_err(),
        KeyError::SetTooLarge { .. }
    ));
    let many = json!({"keys": vec![json!({"kty": "oct"}); 33]}).to_string();
    assert!(matches!(
        KeySet::parse(many.as_bytes()).unwrap_err(),
        KeyError::TooMany { .. }
    ));
    let small =
        json!({"keys": [{"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"}]})
            .to_string();
    assert_eq!(
        KeySet::parse(small.as_bytes()).unwrap_err(),
        KeyError::SetEmpty,
        "1024-bit keys are not trusted"
    );
}

#[test]
fn keys_check_themselves_and_secrets_do_not_print() {
    assert_eq!(PublicKey::parse("!!"), Err(KeyError::Encoding));
    assert_eq!(PublicKey::parse("AAAA"), Err(KeyError::Length { bytes: 3 }));
    assert_eq!(
        PublicKey::from_bytes(&[0; 32]),
        Err(KeyError::Weak),
        "a point of small order"
    );
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    assert_eq!(PublicKey::from_bytes(&identity_point), Err(KeyError::Weak));
    assert!(matches!(
        SharedSecret::new("short"),
        Err(KeyError::Short { .. })
    ));

    let credential = ServiceCredential::new("0123456789abcdef0123456789abcdef").unwrap();
    assert!(credential.admits("0123456789abcdef0123456789abcdef"));
    assert!(
        !credential.admits("0123456789abcdef0123456789abcdeF")
            && !credential.admits("")
            && !credential.admits("0")
    );
    let printed = format!(
        "{credential:?} {:?} {:?} {:?}",
        SharedSecret::new(SECRET).unwrap(),
        key(1),
        by_secret()
    );
    assert!(
        !printed.contains("0123")
            && !printed.contains("long enough")
            && printed.contains("[redacted]"),
        "{printed}"
    );
}
