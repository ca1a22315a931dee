//! Who is let in, and who isn't.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use serde_json::json;

use super::*;
use crate::config::{Config, Secret};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ADMIN_TOKEN: &str = "the-administrators-token-of-the-tests";
const NOW_SECONDS: u64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_SECONDS * 1000)
}

fn authenticator() -> Authenticator {
    let mut config = Config::defaults().auth;
    config.jwt_secret = Some(Secret::new(SECRET));
    config.admin_token = Some(Secret::new(ADMIN_TOKEN));
    Authenticator::new(&config).unwrap()
}

fn sign(claims: &serde_json::Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn code(result: Result<Caller, Problem>) -> Code {
    result.unwrap_err().code()
}

#[test]
fn a_valid_token_says_who_calls_and_a_role_that_is_absent_is_user() {
    let auth = authenticator();
    let check = |claims: serde_json::Value, role| {
        let caller = auth.verify(&sign(&claims), now()).unwrap();
        assert_eq!((caller.user_id.as_str(), caller.role), ("u-1", role), "{claims}");
    };
    let exp = NOW_SECONDS + 1;
    check(json!({"sub": "u-1", "exp": exp}), Role::User);
    check(json!({"sub": "u-1", "exp": exp, "role": "user", "more": 1}), Role::User);
    check(json!({"sub": "u-1", "exp": exp, "role": "admin"}), Role::Admin);
    check(json!({"sub": "u-1", "exp": 1_800_000_000.5, "nbf": NOW_SECONDS}), Role::User);
    check(json!({"sub": "u-1", "exp": exp, "aud": "anyone", "iss": "anyone"}), Role::User);
}

#[test]
fn claims_that_are_missing_or_wrong_are_refused() {
    let auth = authenticator();
    let exp = NOW_SECONDS + 60;
    for claims in [
        json!({"exp": exp}),
        json!({"sub": "u"}),
        json!({"sub": "", "exp": exp}),
        json!({"sub": "x".repeat(129), "exp": exp}),
        json!({"sub": "a\nb", "exp": exp}),
        json!({"sub": 7, "exp": exp}),
        json!({"sub": "u", "exp": "soon"}),
        json!({"sub": "u", "exp": -1}),
        json!({"sub": "u", "exp": exp, "role": "root"}),
        json!({"sub": "u", "exp": exp, "role": ["admin"]}),
        json!({"sub": "u", "exp": exp, "role": "Operator"}),
        json!({"sub": SCRIPTS, "exp": exp}),
        json!({"sub": "u", "exp": exp, "nbf": NOW_SECONDS + 11}),
    ] {
        assert_eq!(code(auth.verify(&sign(&claims), now())), Code::Unauthenticated, "{claims}");
    }
}

#[test]
fn a_token_ends_at_its_exp_to_the_millisecond_also_out_of_the_cache() {
    let auth = authenticator();
    let token = sign(&json!({"sub": "u", "exp": NOW_SECONDS + 10}));
    let at = |millis: u64| Timestamp::from_millis(NOW_SECONDS * 1000 + millis);
    assert!(auth.verify(&token, at(0)).is_ok());
    assert!(auth.verify(&token, at(9_999)).is_ok());
    assert_eq!(code(auth.verify(&token, at(10_000))), Code::TokenExpired);
    assert_eq!(code(authenticator().verify(&token, at(10_000))), Code::TokenExpired);
}

#[test]
fn a_token_that_is_not_valid_yet_becomes_so() {
    let auth = authenticator();
    let token = sign(&json!({"sub": "u", "exp": NOW_SECONDS + 60, "nbf": NOW_SECONDS + 20}));
    let at = |millis: u64| Timestamp::from_millis(NOW_SECONDS * 1000 + millis);
    assert_eq!(code(auth.verify(&token, at(9_999))), Code::Unauthenticated);
    assert!(auth.verify(&token, at(10_000)).is_ok(), "the issuer's clock may be ten seconds ahead");
}

#[test]
fn an_issuers_clock_may_be_ahead_as_far_as_the_settings_say_and_exp_has_no_leeway() {
    let mut config = Config::defaults().auth;
    config.jwt_secret = Some(Secret::new(SECRET));
    for (leeway, accepted) in [(0, [true, false, false]), (1, [true, true, false]), (10, [true, true, true])]
    {
        config.jwt_nbf_leeway_seconds = leeway;
        let auth = Authenticator::new(&config).unwrap();
        let with_nbf = |ahead: u64| {
            let claims = json!({"sub": "u", "exp": NOW_SECONDS + 60, "nbf": NOW_SECONDS + ahead});
            auth.verify(&sign(&claims), now()).is_ok()
        };
        assert_eq!([0, 1, 10].map(with_nbf), accepted, "{leeway}");
        let over = sign(&json!({"sub": "u", "exp": NOW_SECONDS}));
        assert_eq!(code(auth.verify(&over, now())), Code::TokenExpired);
    }
}

#[test]
fn what_was_tampered_with_or_has_another_algorithm_is_refused() {
    let auth = authenticator();
    let claims = json!({"sub": "u", "exp": NOW_SECONDS + 60});
    let good = sign(&claims);
    assert!(auth.verify(&good, now()).is_ok());
    let body = URL_SAFE_NO_PAD.encode(claims.to_string());
    let header = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signature = good.rsplit('.').next().unwrap();
    let other_key = EncodingKey::from_secret(b"another secret of thirty-two bytes!!");
    let hs512 = EncodingKey::from_secret(SECRET.as_bytes());
    let mut critical = Header::new(Algorithm::HS256);
    critical.crit = Some(vec!["b64".into()]);
    for (what, token) in [
        ("none", format!("{}.{body}.", header(r#"{"alg":"none"}"#))),
        ("none with a signature", format!("{}.{body}.{signature}", header(r#"{"alg":"none"}"#))),
        ("no signature", good.rsplit_once('.').unwrap().0.to_owned() + "."),
        ("another key", encode(&Header::new(Algorithm::HS256), &claims, &other_key).unwrap()),
        ("HS512", encode(&Header::new(Algorithm::HS512), &claims, &hs512).unwrap()),
        ("critical header", encode(&critical, &claims, &hs512).unwrap()),
        ("another body", {
            let other = URL_SAFE_NO_PAD.encode(json!({"sub": "v", "exp": NOW_SECONDS + 60}).to_string());
            format!("{}.{other}.{signature}", good.split('.').next().unwrap())
        }),
        ("a longer token", format!("{good}A")),
        ("two parts", "a.b".to_owned()),
        ("nothing", String::new()),
    ] {
        assert_eq!(code(auth.verify(&token, now())), Code::Unauthenticated, "{what}");
    }
}

#[test]
fn the_header_is_one_bearer_token_or_none() {
    let auth = authenticator();
    let caller = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        auth.caller(&headers, now())
    };
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    assert_eq!(caller(&[]).unwrap(), None);
    assert!(caller(&[&bearer]).unwrap().unwrap().is_admin());
    assert!(caller(&[&bearer.replace("Bearer", "bearer")]).unwrap().unwrap().is_admin());
    for wrong in [&["Basic eDp5"][..], &["Bearer"], &["Bearer "], &[""], &[&bearer, &bearer]] {
        assert_eq!(caller(wrong).unwrap_err().code(), Code::Unauthenticated, "{wrong:?}");
    }
}

#[test]
fn the_administrators_token_counts_only_whole_and_only_if_it_is_set() {
    let auth = authenticator();
    let caller = auth.verify(ADMIN_TOKEN, now()).unwrap();
    assert_eq!((caller.user_id.as_str(), caller.role, caller.expires_at), (SCRIPTS, Role::Admin, None));
    assert!(auth.verify(&ADMIN_TOKEN[1..], now()).is_err());
    assert!(auth.verify(&format!("{ADMIN_TOKEN}x"), now()).is_err());
    let none = Authenticator::new(&Config::defaults().auth).unwrap();
    assert_eq!(code(none.verify(ADMIN_TOKEN, now())), Code::Unauthenticated);
    assert_eq!(code(none.verify("", now())), Code::Unauthenticated);
}

#[test]
fn an_issued_token_is_accepted_and_ends() {
    let auth = authenticator();
    let user = UserId::parse("샤롯데").unwrap();
    let token = auth.issue(&user, Role::User, now(), 60).unwrap();
    assert_eq!(auth.verify(&token, now()).unwrap().user_id, user);
    let end = Timestamp::from_millis((NOW_SECONDS + 60) * 1000);
    assert_eq!(code(auth.verify(&token, end)), Code::TokenExpired);
    for role in Role::ALL {
        let token = auth.issue(&user, role, now(), 60).unwrap();
        assert_eq!(auth.verify(&token, now()).unwrap().role, role);
    }
}

#[test]
fn all_accounts_of_a_person_are_one_user_where_a_claim_says_so() {
    let mut config = Config::defaults().auth;
    config.jwt_secret = Some(Secret::new(SECRET));
    config.jwt_person_claim = Some("phone_hash".into());
    let auth = Authenticator::new(&config).unwrap();
    let exp = NOW_SECONDS + 60;
    let user = |claims: serde_json::Value| {
        auth.verify(&sign(&claims), now()).map(|caller| caller.user_id.to_string())
    };
    for sub in ["account-1", "account-2"] {
        let claims = json!({"sub": sub, "exp": exp, "phone_hash": "2c26b46b"});
        assert_eq!(user(claims), Ok("2c26b46b".to_owned()));
    }
    for wrong in [json!(null), json!(7), json!(""), json!("a\nb"), json!(SCRIPTS), json!("x".repeat(129))] {
        let claims = json!({"sub": "account-1", "exp": exp, "phone_hash": wrong});
        assert_eq!(code(auth.verify(&sign(&claims), now())), Code::Unauthenticated, "{claims}");
    }
    assert_eq!(
        code(auth.verify(&sign(&json!({"sub": "account-1", "exp": exp})), now())),
        Code::Unauthenticated
    );
    // Those who run the sale needn't be anyone who buys.
    assert_eq!(user(json!({"sub": "boss", "exp": exp, "role": "operator"})), Ok("boss".to_owned()));
    assert!(!auth.issues_tokens(), "nobody signs up beside the provider");
    assert!(authenticator().issues_tokens());
}

#[test]
fn two_secrets_and_two_scripts_tokens_are_taken_while_one_replaces_the_other() {
    const NEXT: &str = "the next secret, of thirty-two bytes";
    const NEXT_TOKEN: &str = "the-next-token-of-the-administrator";
    let auth = authenticator();
    let user = UserId::parse("u").unwrap();
    let old = auth.issue(&user, Role::User, now(), 60).unwrap();
    assert!(auth.verify(&old, now()).is_ok());

    let mut config = Config::defaults().auth;
    config.jwt_secret = Some(Secret::new(NEXT));
    config.jwt_secret_before = Some(Secret::new(SECRET));
    config.admin_token = Some(Secret::new(NEXT_TOKEN));
    config.admin_token_before = Some(Secret::new(ADMIN_TOKEN));
    auth.replace(&config).unwrap();
    let new = auth.issue(&user, Role::User, now(), 60).unwrap();
    for token in [&old, &new, ADMIN_TOKEN, NEXT_TOKEN] {
        assert!(auth.verify(token, now()).is_ok());
    }

    config.jwt_secret_before = None;
    config.admin_token_before = None;
    auth.replace(&config).unwrap();
    assert_eq!(code(auth.verify(&old, now())), Code::Unauthenticated, "out of the cache, too");
    assert_eq!(code(auth.verify(ADMIN_TOKEN, now())), Code::Unauthenticated);
    assert!(auth.verify(&new, now()).is_ok() && auth.verify(NEXT_TOKEN, now()).is_ok());

    config.jwks_file = Some("/nowhere".into());
    config.jwt_secret = None;
    assert!(auth.replace(&config).is_err());
    assert!(auth.verify(&new, now()).is_ok(), "what can't be used changes nothing");
}

#[test]
fn an_issuer_and_an_audience_that_are_set_are_required() {
    let mut config = Config::defaults().auth;
    config.jwt_secret = Some(Secret::new(SECRET));
    config.jwt_issuer = Some("https://issuer".into());
    config.jwt_audience = Some("onsale".into());
    let auth = Authenticator::new(&config).unwrap();
    let exp = NOW_SECONDS + 60;
    let check = |claims: serde_json::Value| auth.verify(&sign(&claims), now()).is_ok();
    assert!(check(json!({"sub": "u", "exp": exp, "iss": "https://issuer", "aud": ["x", "onsale"]})));
    assert!(!check(json!({"sub": "u", "exp": exp, "iss": "https://issuer"})));
    assert!(!check(json!({"sub": "u", "exp": exp, "aud": "onsale"})));
    assert!(!check(json!({"sub": "u", "exp": exp, "iss": "https://other", "aud": "onsale"})));
    assert!(!check(json!({"sub": "u", "exp": exp, "iss": "https://issuer", "aud": "other"})));
    let issued = auth.issue(&UserId::parse("u").unwrap(), Role::User, now(), 60).unwrap();
    assert!(auth.verify(&issued, now()).is_ok(), "what is issued here is accepted here");
}

/// A key pair made for one test, as the signer's key and the JWK that checks it.
fn key_pair(algorithm: Algorithm, kid: Option<&str>) -> (EncodingKey, serde_json::Value) {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
    let key = if algorithm == Algorithm::ES256 {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref())
    } else if algorithm == Algorithm::EdDSA {
        EncodingKey::from_ed_der(Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref())
    } else {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        EncodingKey::from_rsa_der(rsa_pkcs1_of(pkcs8.as_ref()))
    };
    let mut jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
    jwk.common.key_id = kid.map(Into::into);
    (key, serde_json::to_value(jwk).unwrap())
}

/// Cuts the PKCS#1 key out of its PKCS#8 wrapping, whose head of a 2048 bit key has 26 bytes.
fn rsa_pkcs1_of(pkcs8: &[u8]) -> &[u8] {
    &pkcs8[26..]
}

fn key_file(keys: &[serde_json::Value]) -> (tempfile::NamedTempFile, Authenticator) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({"keys": keys}).to_string()).unwrap();
    let mut config = Config::defaults().auth;
    config.jwks_file = Some(file.path().to_owned());
    let auth = Authenticator::new(&config).unwrap();
    (file, auth)
}

fn token_of(key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(Into::into);
    encode(&header, &json!({"sub": "u", "exp": NOW_SECONDS + 60}), key).unwrap()
}

#[test]
fn a_key_file_checks_the_three_algorithms_by_kid() {
    let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    let pairs = algorithms.map(|algorithm| key_pair(algorithm, Some(&format!("{algorithm:?}"))));
    let (_file, auth) = key_file(&pairs.clone().map(|(_, jwk)| jwk));
    for (algorithm, (key, _)) in algorithms.into_iter().zip(&pairs) {
        let kid = format!("{algorithm:?}");
        assert!(auth.verify(&token_of(key, algorithm, Some(&kid)), now()).is_ok(), "{kid}");
        assert!(auth.verify(&token_of(key, algorithm, Some("other")), now()).is_err());
        assert!(auth.verify(&token_of(key, algorithm, None), now()).is_err(), "ambiguous");
        let wrong_kid = if algorithm == Algorithm::RS256 { "ES256" } else { "RS256" };
        assert!(auth.verify(&token_of(key, algorithm, Some(wrong_kid)), now()).is_err());
    }
    assert!(auth.issue(&UserId::parse("u").unwrap(), Role::User, now(), 60).is_none());
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    let (_, jwk) = key_pair(Algorithm::RS256, Some("k"));
    let (file, auth) = key_file(core::slice::from_ref(&jwk));
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, std::fs::read(file.path()).unwrap(), Vec::new()] {
        let key = EncodingKey::from_secret(&secret);
        for kid in [Some("k"), None] {
            let token = token_of(&key, Algorithm::HS256, kid);
            assert_eq!(code(auth.verify(&token, now())), Code::Unauthenticated);
        }
    }
}

#[test]
fn a_token_without_kid_is_checked_with_the_only_key() {
    let (key, jwk) = key_pair(Algorithm::ES256, None);
    let (_file, auth) = key_file(&[jwk]);
    assert!(auth.verify(&token_of(&key, Algorithm::ES256, None), now()).is_ok());
}

#[test]
fn keys_that_are_replaced_in_the_file_replace_those_in_use_and_in_the_cache() {
    let (old, old_jwk) = key_pair(Algorithm::EdDSA, Some("old"));
    let (new, new_jwk) = key_pair(Algorithm::ES256, Some("newer"));
    let (file, auth) = key_file(&[old_jwk]);
    let old_token = token_of(&old, Algorithm::EdDSA, Some("old"));
    let new_token = token_of(&new, Algorithm::ES256, Some("newer"));
    assert!(auth.verify(&old_token, now()).is_ok() && auth.verify(&new_token, now()).is_err());
    assert!(!auth.reload_keys_if_changed().unwrap());
    std::fs::write(file.path(), "not a set").unwrap();
    assert!(auth.reload_keys_if_changed().is_err());
    assert!(auth.verify(&old_token, now()).is_ok(), "a broken file leaves the keys");
    std::fs::write(file.path(), json!({"keys": [new_jwk]}).to_string()).unwrap();
    assert!(auth.reload_keys_if_changed().unwrap());
    assert!(auth.verify(&old_token, now()).is_err(), "the old key is gone, cached or not");
    assert!(auth.verify(&new_token, now()).is_ok());
}

#[test]
fn keys_that_are_replaced_by_others_of_the_same_length_and_time_are_seen() {
    let (old, old_jwk) = key_pair(Algorithm::EdDSA, Some("k"));
    let (new, new_jwk) = key_pair(Algorithm::EdDSA, Some("k"));
    let (file, auth) = key_file(&[old_jwk]);
    let before = std::fs::metadata(file.path()).unwrap();
    std::fs::write(file.path(), json!({"keys": [new_jwk]}).to_string()).unwrap();
    let written = std::fs::File::options().write(true).open(file.path()).unwrap();
    written.set_modified(before.modified().unwrap()).unwrap();
    assert_eq!(std::fs::metadata(file.path()).unwrap().len(), before.len());
    assert!(auth.reload_keys_if_changed().unwrap());
    assert!(auth.verify(&token_of(&new, Algorithm::EdDSA, Some("k")), now()).is_ok());
    assert!(auth.verify(&token_of(&old, Algorithm::EdDSA, Some("k")), now()).is_err());
}

#[test]
fn a_key_file_without_a_usable_key_or_with_two_of_one_name_is_refused() {
    let (_, jwk) = key_pair(Algorithm::ES256, Some("k"));
    let secret = json!({"kty": "oct", "k": "AAAA", "kid": "s"});
    let mut encryption = jwk.clone();
    encryption["use"] = json!("enc");
    let mut other = jwk.clone();
    other["alg"] = json!("ES384");
    let load = |keys: &[serde_json::Value]| {
        let text = json!({"keys": keys}).to_string();
        let expectations = Expectations::default();
        keys::KeySet::parse(text.as_bytes(), std::path::Path::new("f"), &expectations).err()
    };
    for keys in [&[][..], &[secret], &[encryption], &[other]] {
        assert!(matches!(load(keys), Some(KeysError::Empty { .. })), "{keys:?}");
    }
    assert!(matches!(load(&[jwk.clone(), jwk.clone()]), Some(KeysError::Ambiguous { .. })));
    assert!(load(&[jwk]).is_none());
}

#[test]
fn a_pipe_in_the_place_of_the_key_file_is_refused_and_nobody_waits_for_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("keys.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut config = Config::defaults().auth;
    config.jwks_file = Some(pipe);
    let refused = Authenticator::new(&config).unwrap_err().to_string();
    assert!(refused.contains("it isn't a file"), "{refused}");
}
