//! The world at rest, before and after a case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use catalog_deploy::rehearsal::World;

pub const LOCK: &str = "refs/catalog-deploy/lock/openverse-catalog-prod";
pub const MODULE: &str = "environments/prod/catalog-airflow.tf";

/// What a deploy may change, and what it may not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// File → bytes of the checkout, Terraform's own files left out.
    pub files: BTreeMap<String, Vec<u8>>,
    pub head: String,
    /// Ref → object id of the remote.
    pub refs: BTreeMap<String, String>,
    pub paused: BTreeSet<String>,
    /// The tag in Terraform's state, if an instance runs.
    pub deployed: Option<String>,
    pub drafts: BTreeSet<String>,
    pub published: BTreeSet<String>,
    /// Head branches of the infrastructure repository's open pull requests.
    pub pulls: Vec<String>,
    /// Approvals of changelogs, by pull request.
    pub approvals: Vec<u64>,
}

impl Facts {
    pub fn of(world: &World) -> Self {
        let mut files = BTreeMap::new();
        collect(world.infrastructure(), world.infrastructure(), &mut files);
        let releases = world.releases();
        let tags = |draft| releases.iter().filter(|it| it.draft == draft).map(|it| it.tag_name.clone()).collect();
        let state = world.infrastructure().join("environments/prod/terraform.tfstate");
        let whole = std::fs::read_to_string(state).is_ok_and(|text| text.contains("\"name\": \"instance\""));
        let approved = |pull: &catalog_deploy::rehearsal::Pull| {
            let count = pull.reviews.iter().filter(|review| review.state == "APPROVED").count();
            vec![pull.number; count]
        };
        Self {
            files,
            head: git(world.infrastructure(), &["rev-parse", "HEAD", "--abbrev-ref", "HEAD"]),
            refs: refs(world.remote()),
            paused: world.paused_dags().into_iter().collect(),
            deployed: world.deployed_tag().filter(|_| whole),
            drafts: tags(true),
            published: tags(false),
            pulls: world.pull_requests().into_iter().map(|pull| pull.head_ref).collect(),
            approvals: world.changelogs().iter().flat_map(approved).collect(),
        }
    }

    /// The literal of an attribute of the catalog's module.
    pub fn attribute(&self, name: &str) -> Option<String> {
        attribute(self.files.get(MODULE)?, name)
    }
}

/// The literal of an attribute in the text of a module.
pub fn attribute(text: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().find(|line| line.trim_start().starts_with(name))?;
    Some(line.split_once('=')?.1.trim().trim_matches('"').to_owned())
}

fn refs(remote: &Path) -> BTreeMap<String, String> {
    let listed = git(remote, &["for-each-ref", "--format=%(refname) %(objectname)"]);
    listed.lines().filter_map(|line| line.split_once(' ')).map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
}

/// Git of the test itself, without the product's environment.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).unwrap().filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // What is git's and Terraform's own may change at every look.
        if name == ".git" || name.starts_with(".terraform") || name.contains(".tfstate") {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let relative = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(relative, std::fs::read(&path).unwrap_or_default());
        }
    }
}
