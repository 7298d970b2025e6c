//! Key proofs: they fit one origin, one identity, one connection, one moment, one key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use identifiers::UserId;
use identity::{KeyError, ProofError, SigningKey, proof};
use serde_json::Value;

fn alice() -> UserId {
    UserId::new("alice").unwrap()
}

/// The vectors of the guide for clients, made by another implementation.
#[test]
fn the_vectors_of_the_guide_hold() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("data/proofs.json")).expect("vectors");
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().expect(name);
        let seed = URL_SAFE_NO_PAD.decode(text("privateKey")).expect("a seed");
        let key = SigningKey::from_seed(seed.as_slice().try_into().expect("32 bytes"));
        let message = proof::message(
            text("origin"),
            &UserId::new(text("oderId")).expect("an identity"),
            text("connectionId"),
            vector["serverTime"].as_u64().expect("a time"),
        );
        let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, text("message"));
        assert_eq!(key.public_key().to_string(), text("key"));
        assert_eq!(proof::sign(&key, &message), text("proof"));
        assert!(proof::verify(text("key"), text("proof"), &message).is_ok());
    }
    assert_eq!(vectors.len(), 2);
}

#[test]
fn a_proof_fits_its_message_and_no_other() {
    let key = SigningKey::from_seed(&[3; 32]);
    let message = proof::message(
        "https://chat.example",
        &alice(),
        "connection-1",
        1_800_000_000_000,
    );
    let signed = proof::sign(&key, &message);
    let public = key.public_key().to_string();
    assert_eq!(
        proof::verify(&public, &signed, &message).unwrap(),
        key.public_key()
    );
    assert!(
        proof::verify(&format!("{public}="), &signed, &message).is_ok(),
        "padding is read"
    );

    for other in [
        proof::message(
            "https://evil.example",
            &alice(),
            "connection-1",
            1_800_000_000_000,
        ),
        proof::message(
            "https://chat.example",
            &UserId::new("bob").unwrap(),
            "connection-1",
            1_800_000_000_000,
        ),
        proof::message(
            "https://chat.example",
            &alice(),
            "connection-2",
            1_800_000_000_000,
        ),
        proof::message(
            "https://chat.example",
            &alice(),
            "connection-1",
            1_800_000_000_001,
        ),
    ] {
        assert_eq!(
            proof::verify(&public, &signed, &other),
            Err(ProofError::Signature)
        );
    }
    let stranger = SigningKey::from_seed(&[4; 32]).public_key().to_string();
    assert_eq!(
        proof::verify(&stranger, &signed, &message),
        Err(ProofError::Signature)
    );
}

#[test]
fn no_two_inputs_make_one_message() {
    let one = proof::message("https://a", &UserId::new("bc").unwrap(), "d", 1);
    let two = proof::message("https://ab", &UserId::new("c").unwrap(), "d", 1);
    assert_ne!(one, two);
    assert_eq!(&one[..25], b"\0\0\0\x15jackfield-identity-v1");
    assert!(one.ends_with(&[0, 0, 0, 1, b'd', 0, 0, 0, 0, 0, 0, 0, 1]));
}

#[test]
fn unreadable_keys_and_proofs_are_named() {
    let public = SigningKey::from_seed(&[3; 32]).public_key().to_string();
    assert_eq!(
        proof::verify("AA", "AA", b""),
        Err(ProofError::Key(KeyError::Length { bytes: 1 }))
    );
    assert_eq!(proof::verify(&public, "AA", b""), Err(ProofError::Encoding));
    assert_eq!(
        proof::verify(&public, "!", b"").unwrap_err().code(),
        "PROOF_ENCODING"
    );
}
