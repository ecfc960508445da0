//! The signature of the keys of a server (specification, appendices "Signing JSON" and "Canonical JSON").

use ct_codecs::{Base64, Base64NoPadding, Decoder};
use ed25519_compact::{PublicKey, Signature};
use serde_json::{Map, Value};

/// Verifies the answer to a question for the keys of a server. Returns the identifiers of the keys.
///
/// # Errors
/// With the reason, as the rest of a sentence about the answer.
pub fn verify(answer: &Value, server_name: &str, now: u64) -> Result<Vec<String>, String> {
    let answer = answer.as_object().ok_or("is no JSON object")?;
    let name = answer.get("server_name").and_then(Value::as_str);
    if name != Some(server_name) {
        let name = name.unwrap_or("nothing").escape_debug();
        return Err(format!("is about {name} and not about {server_name}"));
    }
    let valid = answer.get("valid_until_ts").and_then(Value::as_u64);
    let valid = valid.ok_or("has no valid_until_ts")?;
    if valid / 1000 <= now {
        return Err("has keys that are not valid any more (valid_until_ts)".to_owned());
    }
    let keys = answer.get("verify_keys").and_then(Value::as_object);
    let keys = keys.into_iter().flatten();
    let keys: Vec<_> = keys.filter(|(id, _)| id.starts_with("ed25519:")).collect();
    if keys.is_empty() {
        return Err("has no verify_keys with an ed25519 key".to_owned());
    }
    let signatures = answer.get("signatures");
    let signatures = signatures.and_then(|all| all.get(server_name)?.as_object());
    let signatures = signatures.ok_or_else(|| format!("has no signature of {server_name}"))?;
    let message = canonical(answer);
    for (id, key) in &keys {
        let signature = signatures.get(*id).and_then(Value::as_str);
        let signature = signature.ok_or_else(|| format!("has no signature with the key {id}"))?;
        let key = key.get("key").and_then(Value::as_str).unwrap_or_default();
        let verified = decoded(key)
            .zip(decoded(signature))
            .is_some_and(|(key, signature)| is_valid(&key, &signature, message.as_bytes()));
        if !verified {
            return Err(format!("has a wrong signature with the key {id}"));
        }
    }
    Ok(keys.into_iter().map(|(id, _)| id.clone()).collect())
}

/// The signed text: canonical JSON without the keys that are not signed. serde_json sorts keys, writes no blanks, and
/// escapes the same characters in the same way.
fn canonical(object: &Map<String, Value>) -> String {
    let mut signed = object.clone();
    signed.remove("signatures");
    signed.remove("unsigned");
    Value::Object(signed).to_string()
}

fn is_valid(key: &[u8], signature: &[u8], message: &[u8]) -> bool {
    let parts = (PublicKey::from_slice(key), Signature::from_slice(signature));
    matches!(parts, (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
}

/// Base64, whose padding Matrix omits.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let decoded = match text.ends_with('=') {
        true => Base64::decode_to_vec(text, None),
        false => Base64NoPadding::decode_to_vec(text, None),
    };
    decoded.ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ed25519_compact::{KeyPair, Seed};
    use serde_json::json;

    /// The example of the specification, "Test Vectors" of "Signing JSON".
    #[test]
    fn the_example_of_the_specification_is_verified() {
        let key = decoded("XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI").unwrap();
        let signature = "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw";
        let signature = decoded(signature).unwrap();
        let object = json!({"one": 1, "two": "Two", "signatures": {}, "unsigned": {"age": 1}});
        let message = canonical(object.as_object().unwrap());
        assert_eq!(message, r#"{"one":1,"two":"Two"}"#);
        assert!(is_valid(&key, &signature, message.as_bytes()));
        assert!(!is_valid(&key, &signature, b"{}"));
    }

    /// Examples of the specification, "Canonical JSON".
    #[test]
    fn canonical_json_is_that_of_the_specification() {
        for (written, canonical_text) in [
            (r#"{ "b": "2", "a": "1" }"#, r#"{"a":"1","b":"2"}"#),
            ("{ \"本\": 2, \"日\": 1 }", "{\"日\":1,\"本\":2}"),
            (r#"{ "a": "\u65E5" }"#, "{\"a\":\"日\"}"),
            (
                r#"{ "a": null, "b": "\u0007\n\"" }"#,
                r#"{"a":null,"b":"\u0007\n\""}"#,
            ),
        ] {
            let value: Value = serde_json::from_str(written).unwrap();
            assert_eq!(canonical(value.as_object().unwrap()), canonical_text);
        }
    }

    /// An answer of Synapse 1.163.2 would do; this one is signed here with the key of the specification's example.
    pub(in crate::reach) fn signed(change: impl Fn(&mut Map<String, Value>)) -> Value {
        // The last bits of the example are no part of the key.
        let seed = decoded("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0").unwrap();
        let seed = Seed::new(seed.try_into().unwrap());
        let pair = KeyPair::from_seed(seed);
        let key = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI";
        let mut answer = json!({
            "server_name": "example.org", "valid_until_ts": 2_000_000, "old_verify_keys": {},
            "verify_keys": {"ed25519:1": {"key": key}},
        });
        let object = answer.as_object_mut().unwrap();
        change(object);
        let signature = pair.sk.sign(canonical(object), None);
        let text = <Base64NoPadding as ct_codecs::Encoder>::encode_to_string(*signature).unwrap();
        object.insert(
            "signatures".to_owned(),
            json!({"example.org": {"ed25519:1": text}}),
        );
        answer
    }

    #[test]
    fn only_current_keys_of_this_server_with_its_signature_are_accepted() {
        let verified = verify(&signed(|_| ()), "example.org", 1000);
        assert_eq!(verified, Ok(vec!["ed25519:1".to_owned()]));
        let refused = |answer: &Value, now| verify(answer, "example.org", now).unwrap_err();
        assert!(refused(&signed(|_| ()), 2000).contains("not valid any more"));
        let other = signed(|answer| drop(answer.insert("server_name".into(), json!("b.example"))));
        assert_eq!(
            refused(&other, 1),
            "is about b.example and not about example.org"
        );
        let mut changed = signed(|_| ());
        changed["old_verify_keys"] = json!({"ed25519:0": {}});
        assert_eq!(
            refused(&changed, 1),
            "has a wrong signature with the key ed25519:1"
        );
        let mut unsigned = signed(|_| ());
        unsigned["signatures"] = json!({});
        assert_eq!(refused(&unsigned, 1), "has no signature of example.org");
        let more = signed(|answer| answer["verify_keys"]["ed25519:2"] = json!({"key": "x"}));
        assert_eq!(refused(&more, 1), "has no signature with the key ed25519:2");
        assert_eq!(refused(&json!([]), 1), "is no JSON object");
    }
}
