//! The `Link` header (RFC 8288), by which GitHub, registries and Sentry page.

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

use super::{Cause, same_origin};

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextPage {
    /// This was the last page.
    None,
    At(Url),
    /// The link leads to another origin; credentials must not go there.
    Elsewhere(Url),
}

/// The `rel="next"` link of an answer to `asked`, relative ones resolved. Sentry always names a next page and says
/// `results="false"` where it is empty.
pub fn next_page(asked: &Url, headers: &HeaderMap) -> NextPage {
    for value in headers.get_all(LINK) {
        let Ok(mut rest) = value.to_str() else { continue };
        while let Some((target, parameters, after)) = one_link(rest) {
            rest = after;
            let is = |name: &str, wanted: &str| {
                parameters.iter().any(|(key, value)| {
                    key.eq_ignore_ascii_case(name) && value.split(' ').any(|word| word.eq_ignore_ascii_case(wanted))
                })
            };
            if !is("rel", "next") {
                continue;
            }
            if is("results", "false") {
                return NextPage::None;
            }
            return match asked.join(target) {
                Ok(url) if same_origin(asked, &url) => NextPage::At(url),
                Ok(url) => NextPage::Elsewhere(url),
                Err(_) => NextPage::None,
            };
        }
    }
    NextPage::None
}

/// What a list is refused with whose next page is at another origin.
pub fn page_elsewhere(next: &Url) -> Cause {
    let host = next.host_str().unwrap_or("no host");
    Cause::Malformed(format!("its next page is at {}://{host}, where these credentials do not belong", next.scheme()))
}

type Parameters<'a> = Vec<(&'a str, String)>;

/// The first `<target>; key="value"; …` of a list, and what follows it.
fn one_link(text: &str) -> Option<(&str, Parameters<'_>, &str)> {
    let (target, mut rest) = text[text.find('<')? + 1..].split_once('>')?;
    let mut parameters = Vec::new();
    loop {
        rest = rest.trim_start();
        let Some(after) = rest.strip_prefix(';') else { break };
        let (key, value, remaining) = parameter(after)?;
        parameters.push((key, value));
        rest = remaining;
    }
    Some((target, parameters, rest))
}

/// `key=value` or `key="quoted, with \" and ,"`, and what follows it. Also what a challenge is made of.
pub(in crate::adapters) fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start();
    let end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let key = text[..end].trim();
    if !text[end..].starts_with('=') {
        return Some((key, String::new(), &text[end..]));
    }
    let value = text[end + 1..].trim_start();
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find([',', ';']).unwrap_or(value.len());
        return Some((key, value[..end].trim().to_owned(), &value[end..]));
    };
    let mut unquoted = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((key, unquoted, &quoted[at + 1..])),
            '\\' => unquoted.extend(letters.next().map(|(_, escaped)| escaped)),
            other => unquoted.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn next(link: &str) -> NextPage {
        let asked = Url::parse("https://api.github.com/repos/o/r/pulls?page=1").unwrap();
        next_page(&asked, &HeaderMap::from_iter([(LINK, HeaderValue::from_str(link).unwrap())]))
    }

    fn at(url: &str) -> NextPage {
        NextPage::At(Url::parse(url).unwrap())
    }

    #[test]
    fn next_is_found_among_others() {
        let github = r#"<https://api.github.com/x?page=1>; rel="prev", <https://api.github.com/x?page=3>; rel="next""#;
        assert_eq!(next(github), at("https://api.github.com/x?page=3"));
        assert_eq!(next(r#"<https://api.github.com/x?page=1>; rel="first""#), NextPage::None);
        assert_eq!(
            next(r#"</v2/a/tags/list?last=b%2Cc&n=2>; rel="next""#),
            at("https://api.github.com/v2/a/tags/list?last=b%2Cc&n=2")
        );
        assert_eq!(next("<x?a=1,2;3>; rel=next"), at("https://api.github.com/repos/o/r/x?a=1,2;3"));
    }

    #[test]
    fn sentry_says_whether_the_next_page_holds_anything() {
        let link = |results| {
            format!(
                r#"<https://api.github.com/i?cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", <https://api.github.com/i?cursor=0:100:0>; rel="next"; results="{results}"; cursor="0:100:0""#
            )
        };
        assert_eq!(next(&link("true")), at("https://api.github.com/i?cursor=0:100:0"));
        assert_eq!(next(&link("false")), NextPage::None);
    }

    #[test]
    fn another_origin_is_not_followed() {
        assert!(matches!(next(r#"<https://evil.example/x>; rel="next""#), NextPage::Elsewhere(_)));
        assert!(matches!(next(r#"<http://api.github.com/x>; rel="next""#), NextPage::Elsewhere(_)));
    }

    #[test]
    fn broken_links_are_no_links() {
        for text in ["", "<", "<>", "no link", r#"<x>; rel="next"#] {
            assert_eq!(next(text), NextPage::None, "{text}");
        }
    }
}
