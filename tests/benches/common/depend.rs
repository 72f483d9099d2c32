//! Which request cannot be sent before which answer is there, by what the data demands, not by what the product does.

use catalog_deploy::rehearsal::{Images, RequestLogEntry};
use serde_json::Value;

/// For each request the indices of those it depends on. `requests` stand in the order of their starts.
///
/// # Panics
/// Where a route is not known here, or a request started before one that it is said to depend on had ended.
pub fn needs(requests: &[RequestLogEntry], images: &Images) -> Vec<Vec<usize>> {
    let all: Vec<Vec<usize>> = (0..requests.len()).map(|at| needs_of(requests, at, images)).collect();
    for (at, needed) in all.iter().enumerate() {
        for &before in needed {
            let (one, other) = (&requests[before], &requests[at]);
            assert!(
                one.ended_ms <= other.started_ms,
                "{} {} is said to depend on {} {}, but started before that had ended",
                other.method,
                other.path,
                one.method,
                one.path
            );
        }
    }
    all
}

/// The longest path, each request counting with its recorded time: its requests in order, and its length in ms.
pub fn longest_chain(requests: &[RequestLogEntry], needs: &[Vec<usize>]) -> (Vec<usize>, f64) {
    // What is needed started earlier, so one pass in that order is enough.
    let mut best: Vec<(f64, Option<usize>)> = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        let before = needs[at].iter().copied().max_by(|one, other| best[*one].0.total_cmp(&best[*other].0));
        let own = request.ended_ms - request.started_ms;
        best.push((before.map_or(0.0, |before| best[before].0) + own, before));
    }
    let mut last = (0..best.len()).max_by(|one, other| best[*one].0.total_cmp(&best[*other].0));
    let length = last.map_or(0.0, |last| best[last].0);
    let mut chain = Vec::new();
    while let Some(at) = last {
        chain.insert(0, at);
        last = best[at].1;
    }
    (chain, length)
}

fn needs_of(requests: &[RequestLogEntry], at: usize, images: &Images) -> Vec<usize> {
    let request = &requests[at];
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let first =
        |service: &str, start: &str| those(requests, service, |it| it.path.starts_with(start)).into_iter().take(1);
    match request.service.as_str() {
        // Everything can be asked at once, but for further pages and what is about the draft.
        "github" => {
            let draft = "/repos/WordPress/openverse/releases?";
            if query.contains("page=")
                && !query.contains("&page=1")
                && query.split('&').any(|it| it.starts_with("page="))
            {
                first("github", path).collect()
            } else if path.ends_with("/pulls") && query.contains("head=") {
                // The branch carries the tag, and the tag is the draft's.
                first("github", draft).collect()
            } else {
                let known = ["/releases", "/pulls", "/runs", "/commits"];
                assert!(known.iter().any(|end| path.ends_with(end)), "what does {path} depend on?");
                Vec::new()
            }
        }
        "sentry" if query.contains("cursor=") => first("sentry", path).collect(),
        "sentry" => Vec::new(),
        // Which API there is must be known before it can be asked anything.
        "airflow" => {
            let probes: Vec<usize> =
                first("airflow", "/api/v2/version").chain(first("airflow", "/api/v1/version")).collect();
            if probes.contains(&at) {
                return Vec::new();
            }
            // A further page needs the total, which the first page tells.
            if offset(request) > 0 {
                return those(requests, "airflow", |it| it.path.split('?').next() == Some(path) && offset(it) == 0);
            }
            let jwt = those(requests, "airflow", |it| it.path == "/auth/token");
            if jwt.contains(&at) { probes } else { [probes, jwt].concat() }
        }
        "registry" => registry(requests, at, images),
        other => panic!("what do requests to {other} depend on?"),
    }
}

/// `page_offset` of a body, `offset` of a query.
fn offset(request: &RequestLogEntry) -> u64 {
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let in_query = query.split('&').find_map(|pair| pair.strip_prefix("offset=")?.parse().ok());
    let in_body = request.body.as_ref().and_then(|body| body.get("page_offset")).and_then(Value::as_u64);
    in_body.or(in_query).unwrap_or(0)
}

/// Indices of the requests of a service that fit.
fn those(requests: &[RequestLogEntry], service: &str, fits: impl Fn(&RequestLogEntry) -> bool) -> Vec<usize> {
    let fit = |(_, it): &(usize, &RequestLogEntry)| it.service == service && fits(it);
    requests.iter().enumerate().filter(fit).map(|(index, _)| index).collect()
}

fn registry(requests: &[RequestLogEntry], at: usize, images: &Images) -> Vec<usize> {
    let request = &requests[at];
    if request.status == 401 {
        return Vec::new();
    }
    if request.path.starts_with("/token") {
        return those(requests, "registry", |it| it.status == 401).into_iter().take(1).collect();
    }
    let mut needed = those(requests, "registry", |it| it.path.starts_with("/token"));
    let wanted = request.path.rsplit('/').next().unwrap_or_default();
    if wanted.starts_with("sha256:") {
        // A digest is known from the document that names it: an index its manifests, a manifest its config.
        let names = |it: &RequestLogEntry| {
            it.status == 200
                && it.method == "GET"
                && document(images, &it.path).is_some_and(|text| text.contains(wanted))
        };
        let naming = those(requests, "registry", names);
        assert!(!naming.is_empty(), "no answer named {wanted}");
        // Where several name it, the first that came is the one it was known from.
        let first =
            naming.into_iter().min_by(|one, other| requests[*one].ended_ms.total_cmp(&requests[*other].ended_ms));
        needed.extend(first);
    } else if request.method == "GET" && wanted != "latest" {
        // Only a 404 to a HEAD is asked about again: it has no body to tell an unknown tag from an unknown repository.
        needed.extend(those(requests, "registry", |it| it.method == "HEAD" && it.path == request.path));
    }
    let github =
        |part: &str| those(requests, "github", |it| it.path.contains(part)).into_iter().take(1).collect::<Vec<_>>();
    if wanted.len() == 40 {
        needed.extend(github("/actions/workflows/"));
        needed.extend(github("/commits?"));
    } else if wanted.starts_with("rel-") && !images.tags.contains_key(wanted) {
        // The tag that the draft will get; one that exists is what runs, and a child process told it.
        needed.extend(github("/releases?"));
    }
    needed
}

/// The bytes that a manifest request was answered with.
fn document(images: &Images, path: &str) -> Option<String> {
    let (_, reference) = path.split_once("/manifests/")?;
    let digest = images.tags.get(reference).map_or(reference, String::as_str);
    images.manifests.get(digest).map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
}
