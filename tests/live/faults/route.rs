//! Routes: what of a request stays the same from run to run.

/// A kind of request. `{}` in its path stands for one segment that differs from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// As the world's log names it.
    pub service: &'static str,
    pub method: &'static str,
    pub path: &'static str,
}

impl Route {
    pub const fn new(service: &'static str, method: &'static str, path: &'static str) -> Self {
        Self { service, method, path }
    }

    /// `path` may have a query.
    pub fn is(&self, method: &str, path: &str) -> bool {
        let path = path.split('?').next().unwrap();
        let (mine, theirs): (Vec<_>, Vec<_>) = (self.path.split('/').collect(), path.split('/').collect());
        let fits = |(pattern, segment): (&&str, &&str)| *pattern == "{}" || pattern == segment;
        self.method == method && mine.len() == theirs.len() && mine.iter().zip(&theirs).all(fits)
    }
}

#[test]
fn a_route_fits_its_requests_alone() {
    let route = Route::new("github", "GET", "/repos/{}/{}/pulls");
    assert!(route.is("GET", "/repos/WordPress/openverse/pulls?state=all"));
    assert!(!route.is("POST", "/repos/WordPress/openverse/pulls"));
    assert!(!route.is("GET", "/repos/WordPress/openverse/pulls/7"));
    assert!(!route.is("GET", "/repos/WordPress/openverse/releases"));
}
