//! A registry of its own for each test, on loopback, its storage in a temporary directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use catalog_deploy::adapters::http::Patience;
use catalog_deploy::adapters::registry::RegistryClient;
use reqwest::{Method, RequestBuilder};
use secrecy::SecretString;
use serde_json::Value;

use super::issuer::{ISSUER, Issuer, SERVICE};
use super::layout::Layout;

pub const IMAGE: &str = "wordpress/openverse-catalog";

/// Of `right`, for `reader`: `docker-registry` reads bcrypt alone.
const PASSWORDS: &str = "reader:$2b$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC\n";

/// How the registry wants to be shown who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Auth {
    Token,
    Basic,
    Open,
}

pub struct Registry {
    pub url: String,
    pub issuer: Issuer,
    pub layout: Layout,
    auth: Auth,
    place: tempfile::TempDir,
    child: Child,
}

impl Registry {
    /// Behind a token challenge.
    pub fn start() -> Self {
        Self::with(Auth::Token)
    }

    /// Behind a user name and a password.
    pub fn basic() -> Self {
        Self::with(Auth::Basic)
    }

    /// Behind nothing.
    pub fn open() -> Self {
        Self::with(Auth::Open)
    }

    fn with(auth: Auth) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("htpasswd"), PASSWORDS).unwrap();
        let issuer = Issuer::start(place.path());
        let layout = Layout::new(&place.path().join("layout"));
        let (child, address) = serve(place.path(), &config(place.path(), &issuer, auth, "127.0.0.1:0"));
        Self { url: format!("http://{address}"), issuer, layout, auth, place, child }
    }

    /// Changes the key that tokens are signed with: what has been handed out is no longer accepted.
    pub fn change_key(&mut self) {
        self.stop();
        self.issuer.change_key();
        let address = self.url.trim_start_matches("http://").to_owned();
        let config = config(self.place.path(), &self.issuer, self.auth, &address);
        (self.child, _) = serve(self.place.path(), &config);
    }

    fn stop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }

    /// A client as a laptop without registry credentials has it.
    pub fn client(&self) -> RegistryClient {
        self.client_as(None, None)
    }

    pub fn client_as(&self, username: Option<&str>, password: Option<&str>) -> RegistryClient {
        client(&self.url, username, password)
    }

    /// `skopeo copy` of something in the layout, byte for byte.
    pub fn push(&self, descriptor: &Value, image: &str, tag: &str) {
        self.copy(descriptor, image, tag, &["--all", "--preserve-digests"]);
    }

    /// `skopeo copy` with other options, e.g. `--format`.
    pub fn copy(&self, descriptor: &Value, image: &str, tag: &str, options: &[&str]) {
        let target = format!("docker://{}/{image}:{tag}", self.url.trim_start_matches("http://"));
        let mut command = Command::new("skopeo");
        command.args(["copy", "--insecure-policy", "--quiet", "--retry-times=2", "--dest-tls-verify=false"]);
        match self.auth {
            Auth::Token => command.arg("--dest-creds=ci:push"),
            Auth::Basic => command.arg("--dest-creds=reader:right"),
            Auth::Open => command.arg("--dest-no-creds"),
        };
        command.args(options).arg(self.layout.named(descriptor)).arg(&target);
        command.env("HOME", self.place.path()).env("TMPDIR", self.place.path());
        let done = command.output().expect("skopeo is missing: run tests/live/install registry");
        assert!(done.status.success(), "{target}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A request with a token of our own, for what `skopeo` does not do.
    pub async fn raw(&self, method: Method, path: &str, actions: &str) -> RequestBuilder {
        let http = catalog_deploy::adapters::http::client();
        let scope = format!("repository:{IMAGE}:{actions}");
        let token = http.get(&self.issuer.url).query(&[("service", SERVICE), ("scope", &scope)]);
        let token = token.basic_auth("ci", Some("push")).send().await.unwrap().json::<Value>().await.unwrap();
        http.request(method, format!("{}{path}", self.url)).bearer_auth(token["token"].as_str().unwrap())
    }

    /// The file that the registry keeps a blob or a manifest in.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        self.place.path().join(format!("data/docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client that does not wait long.
pub fn client(url: &str, username: Option<&str>, password: Option<&str>) -> RegistryClient {
    let patience = Patience { tries: 2, first_pause: Duration::from_millis(20), ..Patience::default() };
    let password = password.map(SecretString::from);
    RegistryClient::new(url, username.map(str::to_owned), password).unwrap().with_patience(patience)
}

fn config(place: &Path, issuer: &Issuer, auth: Auth, address: &str) -> PathBuf {
    let auth = match auth {
        Auth::Token => format!(
            "auth: {{token: {{realm: {}, service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {}}}}}",
            issuer.url,
            issuer.certificate().display()
        ),
        Auth::Basic => format!("auth: {{htpasswd: {{realm: live, path: {}}}}}", place.join("htpasswd").display()),
        Auth::Open => String::new(),
    };
    let text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
         http: {{addr: {address}}}\n{auth}\n",
        place.join("data").display()
    );
    let path = place.join("config.yml");
    fs::write(&path, text).unwrap();
    path
}

/// Starts it and waits until it says where it listens.
fn serve(place: &Path, config: &Path) -> (Child, String) {
    let log = place.join("log");
    let file = File::create(&log).unwrap();
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(config).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().expect("docker-registry is missing: run tests/live/install registry");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = fs::read_to_string(&log).unwrap();
        let said = text.split("listening on ").nth(1).and_then(|rest| rest.split_once('"'));
        if let Some((address, _)) = said {
            return (child, address.to_owned());
        }
        assert!(child.try_wait().unwrap().is_none(), "docker-registry ended: {text}");
        assert!(Instant::now() < deadline, "docker-registry does not listen: {text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
