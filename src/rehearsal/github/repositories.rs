//! Who is asking, what they may do, and files of the application's repository.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;

use super::{commits, known, message, not_found, objects};
use crate::rehearsal::airflow;
use crate::rehearsal::answer::{self, Parameters, header, one};
use crate::rehearsal::registry::sha256;
use crate::rehearsal::shared::{APPLICATION, Shared, VIEWER};
use crate::rehearsal::{Fault, seed};

/// PublicUser of the token.
pub(super) async fn user(State(shared): State<Arc<Shared>>) -> Response {
    let more = json!({
        "name": "A Maintainer", "company": null, "blog": "", "location": null, "email": null, "hireable": null,
        "bio": null, "twitter_username": null, "notification_email": null, "public_repos": 12, "public_gists": 3,
        "followers": 20, "following": 5, "created_at": "2015-03-01T10:00:00Z", "updated_at": "2024-09-01T10:00:00Z",
    });
    answer::json(200, &answer::extended(objects::user(&shared, VIEWER), more))
}

pub(super) async fn rate_limit() -> Response {
    let reset = Timestamp::now().as_second() + 1800;
    let rate = json!({ "limit": 5000, "used": 13, "remaining": 4987, "reset": reset });
    let search = json!({ "limit": 30, "used": 0, "remaining": 30, "reset": reset });
    answer::json(200, &json!({ "resources": { "core": rate, "search": search }, "rate": rate }))
}

pub(super) async fn repository(
    State(shared): State<Arc<Shared>>,
    Path((owner, name)): Path<(String, String)>,
) -> Response {
    match known(&owner, &name) {
        Some(full_name) => {
            answer::json(200, &objects::full_repository(&shared, full_name, !shared.has(Fault::WeakToken)))
        }
        None => not_found(),
    }
}

/// A file of the application's repository at a ref: as an object, or bare where the raw media type is asked for.
pub(super) async fn contents(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, path)): Path<(String, String, String)>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    if known(&owner, &name) != Some(APPLICATION) {
        return not_found();
    }
    let reference = one(&query, "ref").unwrap_or("main");
    let Some(text) = file(&shared, &path, reference) else {
        return match commits::reachable(&shared, reference) {
            Some(_) => not_found(),
            None => message(404, &format!("No commit found for the ref {reference}")),
        };
    };
    if header(&headers, "accept").contains("raw") {
        return answer::typed(200, "application/vnd.github.raw+json; charset=utf-8", text);
    }
    let url = format!("{}/repos/{APPLICATION}/contents/{path}?ref={reference}", shared.urls().github);
    let sha = &sha256(text.as_bytes())[..40];
    let git = format!("{}/repos/{APPLICATION}/git/blobs/{sha}", shared.urls().github);
    let html = format!("https://github.com/{APPLICATION}/blob/{reference}/{path}");
    let mut encoded = airflow::base64(text.as_bytes());
    encoded.extend(std::iter::repeat_n('=', (4 - encoded.len() % 4) % 4));
    answer::json(
        200,
        &json!({
            "type": "file",
            "encoding": "base64",
            "size": text.len(),
            "name": path.rsplit('/').next(),
            "path": path,
            "content": encoded + "\n",
            "sha": sha,
            "url": url,
            "git_url": git,
            "html_url": html,
            "download_url": format!("https://raw.githubusercontent.com/{APPLICATION}/{reference}/{path}"),
            "_links": { "self": url, "git": git, "html": html },
        }),
    )
}

fn file(shared: &Shared, path: &str, reference: &str) -> Option<String> {
    let pulls = shared.state().pulls.clone();
    let branch = pulls.iter().find(|pull| pull.repository == APPLICATION && pull.head_ref == reference);
    if let Some(pull) = branch {
        return pull.files.iter().find(|(name, _)| name == path).map(|(_, text)| text.clone());
    }
    let newest = commits::reachable(shared, reference)?.into_iter().next()?;
    match path {
        "catalog/requirements-prod.txt" => {
            let date = reference
                .strip_prefix("catalog-")
                .map_or_else(|| newest.at.strftime("%Y.%m.%d.%H.%M.%S").to_string(), str::to_owned);
            let version = seed::airflow_version(shared.options.airflow, &date);
            Some(format!(
                "# PYTHON=3.12\napache-airflow[amazon,http,postgres]=={version}\nlxml==5.3.0\npsycopg2-binary==2.9.9\n"
            ))
        }
        _ => {
            let name = path.strip_prefix("documentation/changelogs/catalog/")?.strip_suffix(".md")?;
            let state = shared.state();
            let tag = format!("catalog-{name}");
            let release = state.releases.iter().find(|release| !release.draft && release.tag_name == tag)?;
            // The changelog of a release stands on main once its pull request is merged.
            let open = pulls.iter().any(|pull| pull.state == "open" && pull.head_ref == format!("changelog/{tag}"));
            (!open && release.tag_name != format!("catalog-{}", seed::DRAFT_DATE))
                .then(|| format!("# {name}\n\n{}", release.body))
        }
    }
}
