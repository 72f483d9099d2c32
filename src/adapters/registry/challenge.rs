//! `WWW-Authenticate`: what a registry wants to be shown before it answers.
//! <https://distribution.github.io/distribution/spec/auth/token/>

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::adapters::http::parameter;

/// What a 401 asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Fetch a token from `realm` and show that.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
    /// User name and password.
    Basic,
    /// Nothing that we know how to give.
    Unknown,
}

/// The best challenge of an answer: Bearer before Basic. Several may stand in one header or in several.
pub(super) fn of(headers: &HeaderMap) -> Challenge {
    let mut best = Challenge::Unknown;
    for value in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
        for (scheme, parameters) in split(value) {
            let get = |name: &str| {
                parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer") {
                if let Some(realm) = get("realm") {
                    return Challenge::Bearer { realm, service: get("service"), scope: get("scope") };
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                best = Challenge::Basic;
            }
        }
    }
    best
}

/// `Scheme key="value", key=value, Scheme …`
fn split(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut challenges: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        // A word that is followed by a space, and not by `=`, begins a challenge.
        let word = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let after = rest[word..].trim_start();
        if !after.starts_with('=') {
            challenges.push((rest[..word].to_owned(), Vec::new()));
            rest = after;
        } else if let (Some((key, value, remaining)), Some((_, parameters))) = (parameter(rest), challenges.last_mut())
        {
            parameters.push((key.to_owned(), value));
            rest = remaining;
        } else {
            break;
        }
        rest = rest.trim_start_matches([' ', ',', ';']);
    }
    challenges
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn challenge(values: &[&str]) -> Challenge {
        of(&values.iter().map(|value| (WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap())).collect())
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(Into::into), scope: scope.map(Into::into) }
    }

    #[test]
    fn ghcrs_own() {
        let text = r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:wordpress/openverse-catalog:pull""#;
        let scope = "repository:wordpress/openverse-catalog:pull";
        assert_eq!(challenge(&[text]), bearer("https://ghcr.io/token", Some("ghcr.io"), Some(scope)));
    }

    #[test]
    fn commas_quotes_and_spaces_within_a_value() {
        let text =
            r#"bearer  Realm = "https://r/t?a=1,2" , scope="repository:a:pull,push b \"c\"", service=plain, error="x""#;
        assert_eq!(
            challenge(&[text]),
            bearer("https://r/t?a=1,2", Some("plain"), Some(r#"repository:a:pull,push b "c""#))
        );
    }

    #[test]
    fn bearer_is_preferred_wherever_it_stands() {
        let expected = bearer("https://r", None, None);
        assert_eq!(challenge(&[r#"Basic realm="x", Bearer realm="https://r""#]), expected);
        assert_eq!(challenge(&[r#"Basic realm="x""#, r#"Bearer realm="https://r""#]), expected);
        assert_eq!(challenge(&[r#"Basic realm="x""#]), Challenge::Basic);
        assert_eq!(challenge(&["Basic"]), Challenge::Basic);
    }

    #[test]
    fn anything_else_is_unknown_and_ends() {
        for text in
            ["", "Bearer", "Bearer service=\"x\"", "=,=", "realm=\"x\"", "Bearer realm=\"open", "Negotiate abc=="]
        {
            assert_eq!(challenge(&[text]), Challenge::Unknown, "{text}");
        }
    }
}
