use std::sync::Arc;

use catalog_deploy::adapters::Readers;
use catalog_deploy::adapters::github::GithubWrite;

fn upgrade(readers: &Readers) -> Arc<dyn GithubWrite> {
    readers.github.clone()
}

fn main() {}
