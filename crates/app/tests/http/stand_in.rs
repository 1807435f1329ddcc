//! A stand-in of an OpenID provider, on a port of its own, that says whatever a test wants: only so can it lie. (A real one
//! is driven in the tests of the program.)

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::TestServer;

/// A key that signs tokens.
pub(crate) enum Signer {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    pub(crate) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// As it stands in a key set.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let part = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        match self {
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": part(x), "y": part(y)})
            }
            Self::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "kid": id, "use": "sig", "n": part(&public.n), "e": part(&public.e)})
            }
        }
    }

    /// The public key as an uncompressed point.
    pub(crate) fn point(&self) -> Vec<u8> {
        match self {
            Self::Ec(key) => key.public_key().as_ref().to_vec(),
            Self::Rsa(_) => panic!("no point"),
        }
    }

    /// The public key, as somebody would try to use it as a shared secret.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match self {
            Self::Ec(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Rsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    pub(crate) fn sign(&self, id: &str, claims: &Value) -> String {
        let (algorithm, random) = match self {
            Self::Ec(_) => ("ES256", SystemRandom::new()),
            Self::Rsa(_) => ("RS256", SystemRandom::new()),
        };
        let message = unsigned(&json!({"alg": algorithm, "kid": id, "typ": "JWT"}), claims);
        let signature = match self {
            Self::Ec(key) => key
                .sign(&random, message.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    message.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Header and claims of a token, without a signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// A provider on a port of its own.
pub(crate) struct StandIn {
    pub(crate) issuer: String,
    pub(crate) key: Signer,
    /// What it answers, by path.
    pub(crate) answers: Arc<Mutex<HashMap<String, Value>>>,
    /// Paths that get no answer at all.
    pub(crate) hangs: Arc<Mutex<HashSet<String>>>,
    /// The paths that were asked for, and with which bodies.
    pub(crate) asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (answers, asked) = (
            Arc::new(Mutex::new(HashMap::<String, Value>::new())),
            Arc::new(Mutex::new(Vec::new())),
        );
        let hangs = Arc::new(Mutex::new(HashSet::<String>::new()));
        let (known, noted, silent) = (Arc::clone(&answers), Arc::clone(&asked), Arc::clone(&hangs));
        let router = Router::new().fallback(move |request: Request| {
            let (known, noted, silent) =
                (Arc::clone(&known), Arc::clone(&noted), Arc::clone(&silent));
            async move {
                let path = request.uri().path().to_owned();
                let body = axum::body::to_bytes(request.into_body(), 1 << 20)
                    .await
                    .unwrap();
                noted
                    .lock()
                    .unwrap()
                    .push((path.clone(), String::from_utf8_lossy(&body).into_owned()));
                let hangs = silent.lock().unwrap().contains(&path);
                if hangs {
                    std::future::pending::<()>().await;
                }
                let answer = known.lock().unwrap().get(&path).cloned();
                match answer {
                    Some(answer) => answer.to_string().into_response(),
                    None => http::StatusCode::NOT_FOUND.into_response(),
                }
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let stand_in = Self {
            key: Signer::ec(),
            issuer,
            answers,
            hangs,
            asked,
        };
        stand_in.answer("/.well-known/openid-configuration", stand_in.discovery());
        stand_in.answer("/keys", json!({"keys": [stand_in.key.jwk("first")]}));
        stand_in
    }

    pub(crate) fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/keys"), "token_endpoint": format!("{issuer}/token"),
            "authorization_endpoint": format!("{issuer}/authorize"),
        })
    }

    pub(crate) fn answer(&self, path: &str, json: Value) {
        self.answers.lock().unwrap().insert(path.into(), json);
    }

    /// Leaves requests of a path without an answer.
    pub(crate) fn hang(&self, path: &str) {
        self.hangs.lock().unwrap().insert(path.into());
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| asked.0 == path)
            .count()
    }

    /// Enters it at the server. Answers its id.
    pub(crate) async fn enter(&self, server: &TestServer, scheme: &str) -> String {
        let given = json!({
            "AuthenticationScheme": scheme, "DisplayName": scheme, "ProviderType": "Generic",
            "Parameters": {"Authority": self.issuer, "ClientId": "chancery", "Audience": "certificates", "ClientSecret": "hidden word"},
        });
        let made = server
            .admin()
            .post("/IdentityProviders", given)
            .await
            .expect(200)
            .json;
        made["Id"].as_str().unwrap().to_owned()
    }

    /// The claims of a good token for this server.
    pub(crate) fn claims(&self, server: &TestServer) -> Value {
        let now = server.clock.now() / 1000;
        json!({
            "iss": self.issuer, "aud": "certificates", "sub": "machine-1", "client_id": "machine", "roles": ["operators", "readers"],
            "iat": now, "exp": now + 3600,
        })
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.key.sign("first", claims)
    }
}
