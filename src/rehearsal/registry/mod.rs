//! The registry: the OCI distribution API behind a token challenge, as GHCR has it even for public images.

mod images;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::routing::{any, get};
use serde_json::json;

pub(super) use images::{alias, push, sha256};

use super::answer::{self, Parameters, header, one, with};
use super::shared::{IMAGE, Shared};

const SERVICE: &str = "registry.rehearsal";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/token", get(token)).fallback(any(distribution)).with_state(shared)
}

/// A pull token for one scope.
async fn token(State(shared): State<Arc<Shared>>, Query(query): Query<Parameters>) -> Response {
    let scope = format!("repository:{IMAGE}:pull");
    if one(&query, "service") != Some(SERVICE) || one(&query, "scope") != Some(scope.as_str()) {
        return refuse(403, "DENIED", "requested access to the resource is denied");
    }
    let mut state = shared.state();
    let id = state.id();
    let token = sha256(format!("{}/{id}", shared.secrets.github).as_bytes());
    state.registry_tokens.insert(token.clone());
    answer::json(200, &json!({ "token": token }))
}

fn refuse(status: u16, code: &str, message: &str) -> Response {
    answer::json(status, &json!({ "errors": [{ "code": code, "message": message }] }))
}

async fn distribution(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Query(query): Query<Parameters>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let answer = match Route::of(uri.path()) {
        // Known paths come first, and who asks after that.
        None => answer::typed(404, "text/plain; charset=utf-8", "404 page not found\n"),
        Some(route) => challenge(&shared, &route, &headers).unwrap_or_else(|| {
            if method != Method::GET && method != Method::HEAD {
                return refuse(405, "UNSUPPORTED", "The operation is unsupported.");
            }
            match route {
                Route::Version => answer::json(200, &json!({})),
                Route::Manifest(IMAGE, reference) => manifest(&shared, reference, &method, &headers),
                Route::Blob(IMAGE, digest) => blob(&shared, digest, &method),
                Route::Tags(IMAGE) => tags(&shared, &query),
                Route::Manifest(..) | Route::Blob(..) | Route::Tags(_) => {
                    refuse(404, "NAME_UNKNOWN", "repository name not known to registry")
                }
            }
        }),
    };
    with(answer, "docker-distribution-api-version", "registry/2.0")
}

/// What a registry has paths for; the first part is the repository's name.
enum Route<'p> {
    Version,
    Manifest(&'p str, &'p str),
    Blob(&'p str, &'p str),
    Tags(&'p str),
}

impl<'p> Route<'p> {
    fn of(path: &'p str) -> Option<Self> {
        let path = path.strip_prefix("/v2/")?;
        if path.is_empty() {
            return Some(Self::Version);
        }
        let (before, last) = path.rsplit_once('/')?;
        let (name, kind) = before.rsplit_once('/')?;
        match (kind, last) {
            ("manifests", reference) => Some(Self::Manifest(name, reference)),
            ("blobs", digest) => Some(Self::Blob(name, digest)),
            ("tags", "list") => Some(Self::Tags(name)),
            _ => None,
        }
    }
}

/// A 401 for whoever shows no token, or one that was not handed out here; it names the scope that the path needs.
fn challenge(shared: &Shared, route: &Route<'_>, headers: &HeaderMap) -> Option<Response> {
    let token = header(headers, "authorization").strip_prefix("Bearer ");
    if token.is_some_and(|token| shared.state().registry_tokens.contains(token)) {
        return None;
    }
    let mut challenge = format!("Bearer realm=\"{}/token\",service=\"{SERVICE}\"", shared.urls().registry);
    if let Route::Manifest(name, _) | Route::Blob(name, _) | Route::Tags(name) = route {
        challenge.push_str(&format!(",scope=\"repository:{name}:pull\""));
    }
    if token.is_some() {
        challenge.push_str(",error=\"invalid_token\"");
    }
    Some(with(refuse(401, "UNAUTHORIZED", "authentication required"), "www-authenticate", &challenge))
}

fn manifest(shared: &Shared, reference: &str, method: &Method, headers: &HeaderMap) -> Response {
    let state = shared.state();
    let digest = state.images.tags.get(reference).map_or(reference, String::as_str);
    let Some((media_type, bytes)) = state.images.manifests.get(digest) else {
        return refuse(404, "MANIFEST_UNKNOWN", "manifest unknown");
    };
    let accepted: Vec<&str> = headers.get_all("accept").iter().filter_map(|value| value.to_str().ok()).collect();
    if !accepted.iter().any(|accept| accept.contains(media_type.as_str()) || accept.contains("*/*")) {
        // Docker's registry in its own words; a client cannot tell it from a tag that is not there.
        let (one, many) = if media_type.contains("index") { ("index", "indexes") } else { ("manifest", "manifests") };
        let message = format!("OCI {one} found, but accept header does not support OCI {many}");
        return refuse(404, "MANIFEST_UNKNOWN", &message);
    }
    content(bytes, media_type, digest, method)
}

fn blob(shared: &Shared, digest: &str, method: &Method) -> Response {
    let state = shared.state();
    match state.images.blobs.get(digest) {
        Some(bytes) => content(bytes, "application/octet-stream", digest, method),
        None => refuse(404, "BLOB_UNKNOWN", "blob unknown to registry"),
    }
}

fn content(bytes: &[u8], media_type: &str, digest: &str, method: &Method) -> Response {
    let body = if *method == Method::HEAD { Vec::new() } else { bytes.to_vec() };
    let response = with(answer::typed(200, "application/octet-stream", body), "content-type", media_type);
    let response = with(response, "content-length", &bytes.len().to_string());
    with(with(response, "docker-content-digest", digest), "etag", &format!("\"{digest}\""))
}

/// Tags in lexical order, `n` a page, the next one by `Link`.
fn tags(shared: &Shared, query: &Parameters) -> Response {
    let n = match one(query, "n").map(str::parse::<usize>) {
        None => 100,
        Some(Ok(n)) if n > 0 => n.min(100),
        Some(_) => return refuse(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested"),
    };
    let last = one(query, "last").unwrap_or_default();
    let state = shared.state();
    let rest: Vec<&String> = state.images.tags.keys().filter(|tag| tag.as_str() > last).collect();
    let page = &rest[..n.min(rest.len())];
    let response = answer::json(200, &json!({ "name": IMAGE, "tags": page }));
    match page.last() {
        Some(last) if rest.len() > n => with(
            response,
            "link",
            &format!("</v2/{IMAGE}/tags/list?last={}&n={n}>; rel=\"next\"", answer::encode(last)),
        ),
        _ => response,
    }
}
