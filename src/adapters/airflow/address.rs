//! Where Airflow is and what stands in front of it: its URL, the headers for a proxy, ids in paths.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::ServiceError;
use crate::adapters::Cause;

/// What may stand in a path as it is, beside letters and digits (RFC 3986, unreserved).
const UNRESERVED: &[u8] = b"-._~";
pub(super) const HINT: &str = "if Airflow is behind Cloudflare Access, check `headers` (CF-Access-Client-Id and \
                    CF-Access-Client-Secret) under [airflow] in the configuration";

/// The URL without a slash at its end; why not, where it cannot be used.
pub(super) fn base(url: &str) -> Result<String, String> {
    let parsed = Url::parse(url).map_err(|error| format!("the URL cannot be used: {error}"))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("the URL holds credentials; put them into `username` and `password`".into());
    }
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && loopback(&parsed)) {
        return Err(format!("{url} is not https; plain http is accepted for loopback only"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// Headers that go with every request, marked so that no log shows them.
pub(super) fn headers(given: &[(String, SecretString)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let header: HeaderName = name.parse().map_err(|_| format!("{name:?} is not a header's name"))?;
        let mut value: HeaderValue = value
            .expose_secret()
            .trim()
            .parse()
            .map_err(|_| format!("the value of header {name} holds characters no header may hold"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Says what to check where a redirect or a page came instead of Airflow.
pub(super) fn hinted(mut error: ServiceError) -> ServiceError {
    if let Cause::Malformed(text) = &mut error.cause
        && (text.contains("redirect") || text.contains("content type"))
        && !text.contains(HINT)
    {
        text.push_str("; ");
        text.push_str(HINT);
    }
    error
}

fn loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// An id as one segment of a path: run ids hold `+` and `:`, which servers read in more than one way.
pub(super) fn encoded(id: &str) -> String {
    id.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || UNRESERVED.contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
