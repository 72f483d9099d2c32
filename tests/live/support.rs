//! Where the tools are, and what to say where they are not.

use std::path::PathBuf;

/// The cache that `tests/live/install` fills.
pub fn cache() -> PathBuf {
    let home = || std::env::home_dir().unwrap().join(".cache/catalog-deploy-live");
    std::env::var_os("CATALOG_DEPLOY_LIVE").map_or_else(home, PathBuf::from)
}

/// Something that `tests/live/install NAME` puts into the cache.
pub fn installed(path: &str, name: &str) -> PathBuf {
    let found = cache().join(path);
    assert!(found.exists(), "{} is missing: run tests/live/install {name}", found.display());
    found
}
