//! Who hands out tokens: JWTs signed with RS256, the certificate in `x5c`.
//! <https://distribution.github.io/distribution/spec/auth/jwt/>
//!
//! Its policy is GHCR's: everybody may pull what is public, wrong credentials are refused with 403 DENIED.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub const ISSUER: &str = "issuer.live";
pub const SERVICE: &str = "registry.live";

/// What somebody asked for: who, and which scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `USER:PASSWORD`, empty for anonymous
    pub credentials: String,
    pub scopes: Vec<String>,
}

/// The token server; ends when dropped.
pub struct Issuer {
    pub url: String,
    keys: Keys,
    asked: Arc<Mutex<Vec<Asked>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Clone)]
struct Keys {
    key: PathBuf,
    certificate: PathBuf,
}

#[derive(Clone)]
struct Shared {
    keys: Keys,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Issuer {
    pub fn start(place: &Path) -> Self {
        let keys = Keys { key: place.join("issuer.key"), certificate: place.join("issuer.pem") };
        keys.make();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let shared = Shared { keys: keys.clone(), asked: asked.clone() };
        let (end, ended) = oneshot::channel::<()>();
        // A thread of its own: while a test waits for skopeo, skopeo waits for a token.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = Router::new().route("/token", get(token)).with_state(shared);
                let serving = axum::serve(listener, router).into_future();
                tokio::select! { _ = serving => {}, _ = ended => {} }
            });
        });
        Self { url, keys, asked, end: Some(end), thread: Some(thread) }
    }

    /// What the registry trusts.
    pub fn certificate(&self) -> &Path {
        &self.keys.certificate
    }

    /// Another key; tokens signed with the old one are worth nothing once the registry reads the new certificate.
    pub fn change_key(&self) {
        self.keys.make();
    }

    /// Everything asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _gone = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Keys {
    fn make(&self) {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=issuer.live"]);
        command.arg("-keyout").arg(&self.key).arg("-out").arg(&self.certificate);
        let made = command.output().expect("openssl is missing: run tests/live/install registry");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn jwt(&self, claims: &Value) -> String {
        let pem = fs::read_to_string(&self.certificate).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [body] });
        let text = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256", "-sign"]).arg(&self.key).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let signed = child.wait_with_output().unwrap();
        assert!(signed.status.success());
        format!("{text}.{}", base64url(&signed.stdout))
    }
}

async fn token(
    State(shared): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let all = |name: &str| query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect();
    let (services, scopes): (Vec<String>, Vec<String>) = (all("service"), all("scope"));
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap()).unwrap_or_default();
    let who = match authorization.strip_prefix("Basic ") {
        Some(text) => String::from_utf8(from_base64(text)).unwrap(),
        None => String::new(),
    };
    shared.asked.lock().unwrap().push(Asked { credentials: who.clone(), scopes: scopes.clone() });
    let refuse = |code: StatusCode, name: &str, message: &str| {
        (code, Json(json!({ "errors": [{ "code": name, "message": message }] }))).into_response()
    };
    if services != [SERVICE] {
        return refuse(StatusCode::BAD_REQUEST, "UNSUPPORTED", "unknown service");
    }
    let may: &[&str] = match who.as_str() {
        "ci:push" => &["pull", "push"],
        "" | "reader:right" => &["pull"],
        _ => return refuse(StatusCode::FORBIDDEN, "DENIED", "denied"),
    };
    let mut access = Vec::new();
    for scope in &scopes {
        let [kind, name, actions] = scope.split(':').collect::<Vec<_>>()[..] else {
            return refuse(StatusCode::BAD_REQUEST, "DENIED", "malformed scope");
        };
        if who.is_empty() && name.starts_with("private/") {
            return refuse(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
        }
        // The specification's own way to refuse: a token for less than was asked.
        let withheld = who.is_empty() && name.starts_with("withheld/");
        let granted: Vec<&str> = actions.split(',').filter(|action| may.contains(action) && !withheld).collect();
        if !granted.is_empty() {
            access.push(json!({ "type": kind, "name": name, "actions": granted }));
        }
    }
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({ "iss": ISSUER, "sub": who.split(':').next(), "aud": SERVICE, "iat": now, "nbf": now - 10,
        "exp": now + 300, "jti": format!("{now}"), "access": access });
    Json(json!({ "token": shared.keys.jwt(&claims), "expires_in": 300 })).into_response()
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[(group >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

fn from_base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut group, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let letter = match letter {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        };
        let value = LETTERS.iter().position(|known| *known == letter).unwrap();
        group = group << 6 | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits & 255) as u8);
        }
    }
    bytes
}
