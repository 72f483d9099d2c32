//! Which URLs may be talked to, and how paths are put together.

use std::net::IpAddr;

use reqwest::Url;

/// A service's URL: https, or http for loopback only, and without credentials in it (they would end up in logs). The
/// error is a sentence about what is wrong, without the URL's secrets.
pub fn check_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("is not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds credentials; give them by their own keys, as a secret".into());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host".into());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err("is plain http, which is accepted for loopback only; use https".into()),
        other => Err(format!("begins with {other}://; use https://")),
    }
}

/// The host is this machine: `localhost`, 127.0.0.0/8 or ::1.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// As [`is_loopback`], for text; what is no URL is not.
pub fn is_loopback_text(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| is_loopback(&url))
}

/// The path of a URL with a host, where the text is one. Of a webhook it is the secret part.
pub fn path_of(text: &str) -> Option<String> {
    Url::parse(text).ok().filter(Url::has_host).map(|url| url.path().to_owned())
}

/// Scheme, host and port agree, so credentials for one are credentials for the other.
pub fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// `base` with segments added, each percent-encoded: a `/` or `?` within one stays within it.
pub fn with_path<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["https://api.github.com", "http://127.0.0.1:8080/x", "http://localhost", "http://[::1]:5000"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in ["http://airflow.example", "http://127.0.0.1.example", "ftp://x", "airflow.example", "https://"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        let error = check_url("https://me:hunter2@airflow.example").unwrap_err();
        assert!(error.contains("credentials") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn segments_are_encoded_and_a_base_path_stays() {
        let base = Url::parse("https://ghe.example/api/v3/?x=1").unwrap();
        let url = with_path(&base, ["repos", "a b", "c/d?e#f%"]);
        assert_eq!(url.as_str(), "https://ghe.example/api/v3/repos/a%20b/c%2Fd%3Fe%23f%25");
    }
}
