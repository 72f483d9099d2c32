use super::*;
use crate::adapters::checkout::fixture::{FILE, Fixture, git, hash, installed};
use crate::adapters::checkout::sweep;

fn at(attribute: &str) -> Location {
    Location { file: FILE.into(), block: vec!["module".into(), "catalog-airflow".into()], attribute: attribute.into() }
}

fn argv(line: &str) -> Vec<String> {
    line.split(' ').map(Into::into).collect()
}

fn quiet() -> LineSink {
    Arc::new(|_| {})
}

fn untouched(fixture: &Fixture, root: &Path) -> (Vec<String>, Vec<String>) {
    (fixture.hash(), hash(root))
}

/// Every reading method, and a scratch copy that is changed in every way.
async fn look_everywhere(fixture: &Fixture, root: &Path) {
    let checkout = Checkout::new(CheckoutOptions { root: root.to_owned(), ..fixture.options() });
    let newer = fixture.colleague("new", "by a colleague");
    let before = untouched(fixture, root);
    let standing = checkout.standing().await.unwrap();
    assert_eq!(standing.remote.unwrap(), RemoteMain { commit: newer.clone(), in_head: None });
    checkout.read(FILE).await.unwrap();
    checkout.read_at("HEAD", FILE).await.unwrap();
    checkout.attribute(&at("docker_image_tag")).await.unwrap();
    checkout.fingerprint(&[at("running_dags_cleared")]).await.unwrap();
    checkout.arguments(&argv("just apply prod catalog-airflow")).await.unwrap();
    assert_eq!(checkout.remote_branch("main").await.unwrap(), Some(newer));
    let new = checkout.remote_file("main", "new").await.unwrap();
    assert_eq!(new.as_deref(), Some(&b"by a colleague"[..]));
    assert_eq!(checkout.remote_file("main", "absent").await.unwrap(), None);
    assert_eq!(checkout.remote_file("absent", "new").await.unwrap(), None);
    assert_eq!(checkout.output(&argv("cat justfile")).await.unwrap(), checkout.read("justfile").await.unwrap());
    let scratch = checkout.scratch().await.unwrap();
    assert_eq!(scratch.changed().await.unwrap(), Vec::<String>::new());
    assert_eq!(scratch.set_attribute(&at("running_dags_cleared"), "true").await.unwrap(), "false");
    assert_eq!(scratch.run(&argv("just bump prod catalog-airflow"), quiet()).await.unwrap().0, Some(0));
    assert_eq!(scratch.attribute(&at("docker_image_tag")).await.unwrap().literal, "\"rel-2\"");
    assert_eq!(scratch.changed().await.unwrap(), [FILE]);
    assert!(scratch.diff().await.unwrap().contains("+  docker_image_tag     = \"rel-2\" # bumped"));
    assert_eq!(scratch.run(&argv("just commit"), quiet()).await.unwrap().0, Some(0));
    let (code, said) = scratch.run(&argv("just push"), quiet()).await.unwrap();
    assert!(code != Some(0) && said.contains("no-push-from-a-scratch-copy"), "{said}");
    let url = fixture.remote.display();
    let direct = argv(&format!("git push {url} HEAD:refs/heads/escaped"));
    assert_ne!(scratch.run(&direct, quiet()).await.unwrap().0, Some(0));
    assert_eq!(fixture.git_remote(&["branch", "--list", "escaped"]), "");
    let place = scratch.root();
    drop(scratch);
    assert!(!place.exists());
    assert_eq!(untouched(fixture, root), before);
}

#[tokio::test]
async fn looking_changes_no_byte_of_a_plain_clone() {
    if !installed(&["just"]) {
        return;
    }
    let fixture = Fixture::new();
    std::fs::write(fixture.root.join("ignored"), "x").unwrap();
    std::fs::write(fixture.root.join("untracked"), "x").unwrap();
    look_everywhere(&fixture, &fixture.root).await;
}

#[tokio::test]
async fn looking_changes_no_byte_of_a_linked_worktree() {
    if !installed(&["just"]) {
        return;
    }
    let fixture = Fixture::new();
    let linked = fixture.home.path().canonicalize().unwrap().join("linked");
    git(&fixture.root, &["worktree", "add", "-q", "-b", "side", linked.to_str().unwrap()]);
    look_everywhere(&fixture, &linked).await;
    assert_eq!(git(&linked, &["symbolic-ref", "--short", "HEAD"]), "side");
}

#[tokio::test]
async fn looking_changes_no_byte_with_a_submodule() {
    if !installed(&["just"]) {
        return;
    }
    let fixture = Fixture::new();
    let library = Fixture::new();
    git(&fixture.root, &["submodule", "add", "-q", library.root.to_str().unwrap(), "library"]);
    fixture.commit("a submodule");
    git(&fixture.root, &["push", "-q", "origin", "main"]);
    look_everywhere(&fixture, &fixture.root).await;
    let checkout = Checkout::new(fixture.options());
    let scratch = checkout.scratch().await.unwrap();
    assert!(scratch.root().join("library/justfile").is_file() && !scratch.root().join("library/.git").exists());
}

#[tokio::test]
async fn looking_changes_no_byte_behind_an_absolute_symlink() {
    if !installed(&["just"]) {
        return;
    }
    let fixture = Fixture::new();
    let real = fixture.root.join("environments/prod/real.tf");
    std::fs::rename(fixture.root.join(FILE), &real).unwrap();
    std::os::unix::fs::symlink(&real, fixture.root.join(FILE)).unwrap();
    fixture.commit("a link");
    git(&fixture.root, &["push", "-q", "origin", "main"]);
    let before = fixture.hash();
    let checkout = Checkout::new(fixture.options());
    let scratch = checkout.scratch().await.unwrap();
    scratch.set_attribute(&at("running_dags_cleared"), "true").await.unwrap();
    scratch.set_attribute(&at("docker_image_tag"), "\"rel-9\"").await.unwrap();
    let copied = std::fs::read_to_string(scratch.root().join("environments/prod/real.tf")).unwrap();
    assert!(copied.contains("rel-9") && copied.contains("= true"));
    assert_eq!(
        scratch.run(&argv("sh -c echo>environments/prod/catalog-airflow.tf"), quiet()).await.unwrap().0,
        Some(0)
    );
    drop(scratch);
    assert_eq!(fixture.hash(), before);
}

#[tokio::test]
async fn standing_tells_what_is_not_clean() {
    let fixture = Fixture::new();
    let checkout = Checkout::new(fixture.options());
    let clean = checkout.standing().await.unwrap();
    assert_eq!(clean.branch.as_deref(), Some("main"));
    assert!(clean.dirty.is_empty() && clean.untracked.is_empty() && clean.in_progress.is_none());
    assert_eq!(clean.remote.unwrap(), RemoteMain { commit: clean.head, in_head: Some(true) });
    std::fs::write(fixture.root.join("a b \u{fc}"), "x").unwrap();
    std::fs::write(fixture.root.join("justfile"), "x").unwrap();
    git(&fixture.root, &["mv", FILE, "environments/prod/moved.tf"]);
    std::fs::write(fixture.root.join(".git/MERGE_HEAD"), "x").unwrap();
    git(&fixture.root, &["checkout", "-q", "--detach"]);
    let other = checkout.standing().await.unwrap();
    assert_eq!(other.branch, None);
    assert_eq!(other.dirty, ["environments/prod/moved.tf", "justfile"]);
    assert_eq!(other.untracked, ["a b \u{fc}"]);
}

#[tokio::test]
async fn an_operation_under_way_is_told() {
    let fixture = Fixture::new();
    git(&fixture.root, &["bisect", "start"]);
    let standing = Checkout::new(fixture.options()).standing().await.unwrap();
    assert_eq!(standing.in_progress.as_deref(), Some("bisect"));
}

#[tokio::test]
async fn what_is_no_checkout_is_said_clearly() {
    let fixture = Fixture::new();
    let plain = fixture.home.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    for (root, why) in [
        (fixture.home.path().join("absent"), "does not exist"),
        (plain, "is not a git checkout"),
        (fixture.remote.clone(), "is a bare repository"),
        (fixture.root.join("modules"), "is inside the repository"),
    ] {
        let checkout = Checkout::new(CheckoutOptions { root, ..fixture.options() });
        let error = checkout.standing().await.unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("config.toml"), "{error}");
    }
}

#[tokio::test]
async fn a_fingerprint_binds_to_everything_but_what_is_excepted() {
    let fixture = Fixture::new();
    let checkout = Checkout::new(fixture.options());
    let except = [at("running_dags_cleared"), at("docker_image_tag")];
    let first = checkout.fingerprint(&except).await.unwrap();
    let tree = checkout.tree();
    tree.set_attribute(&at("running_dags_cleared"), "true").await.unwrap();
    tree.set_attribute(&at("docker_image_tag"), "\"rel-2\"").await.unwrap();
    std::fs::write(fixture.root.join("untracked"), "x").unwrap();
    assert_eq!(checkout.fingerprint(&except).await.unwrap(), first);
    assert_ne!(checkout.fingerprint(&except[..1]).await.unwrap(), first);
    assert_eq!(tree.changed().await.unwrap(), [FILE, "untracked"]);
    std::fs::write(fixture.root.join("modules/catalog/main.tf"), "").unwrap();
    assert_ne!(checkout.fingerprint(&except).await.unwrap(), first);
}

#[tokio::test]
async fn a_recipe_tells_whether_it_takes_the_plan() {
    if !installed(&["just"]) {
        return;
    }
    let fixture = Fixture::new();
    let checkout = Checkout::new(fixture.options());
    for (line, wanted) in [
        ("just apply prod catalog-airflow", Arguments::Takes),
        ("just plan prod catalog-airflow", Arguments::TakesNone),
        ("just bump prod catalog-airflow", Arguments::Takes),
        ("just absent", Arguments::Unknown),
        ("make apply", Arguments::Unknown),
    ] {
        assert_eq!(checkout.arguments(&argv(line)).await.unwrap(), wanted, "{line}");
    }
}

#[tokio::test]
async fn a_plan_in_a_copy_is_terraforms_own() {
    if !installed(&["just", "terraform"]) {
        return;
    }
    let fixture = Fixture::new();
    fixture.init_terraform();
    let checkout = Checkout::new(fixture.options());
    let before = fixture.hash();
    let scratch = checkout.scratch().await.unwrap();
    let plan_file = fixture.home.path().join("a plan");
    let line = argv("just plan prod catalog-airflow");
    let Planned::Failed { code, tail } = scratch.plan(&line, &plan_file, quiet()).await.unwrap() else {
        panic!("the flag is false")
    };
    assert_eq!(code, Some(1));
    assert!(
        tail[0].contains("precondition failed") && tail.iter().any(|line| line.contains("set running_dags_cleared"))
    );
    assert!(!plan_file.exists());
    scratch.set_attribute(&at("running_dags_cleared"), "true").await.unwrap();
    let Planned::Ready(plan) = scratch.plan(&line, &plan_file, quiet()).await.unwrap() else { panic!("it must plan") };
    assert_eq!(plan.changes[0].address, "module.catalog-airflow.terraform_data.instance");
    assert_eq!((plan.changes[0].actions.as_str(), plan.complete, plan.errored), ("create", true, false));
    let again = scratch.plan(&line, &plan_file, quiet()).await.unwrap();
    assert_eq!(again, Planned::Ready(plan));
    let error = scratch.plan(&argv("true"), &plan_file, quiet()).await.unwrap_err();
    assert!(error.to_string().contains("wrote no plan"), "{error}");
    assert!(std::fs::read_to_string(crate::adapters::checkout::plan_text(&plan_file)).is_ok());
    drop(scratch);
    assert_eq!(fixture.hash(), before);
    assert_eq!(sweep(&fixture.options().scratch_parent).unwrap(), 0);
}

#[tokio::test]
async fn a_copy_plans_against_the_state_beside_the_files() {
    if !installed(&["just", "terraform"]) {
        return;
    }
    let fixture = Fixture::new();
    fixture.init_terraform();
    let checkout = Checkout::new(fixture.options());
    let tree = checkout.tree();
    tree.set_attribute(&at("running_dags_cleared"), "true").await.unwrap();
    let plan_file = fixture.home.path().join("plan");
    let line = argv("just plan prod catalog-airflow");
    let Planned::Ready(_) = checkout.plan(&line, &plan_file, quiet()).await.unwrap() else { panic!("it must plan") };
    let apply = argv(&format!("just apply prod catalog-airflow {}", plan_file.display()));
    checkout.output(&apply).await.unwrap();
    tree.set_attribute(&at("docker_image_tag"), "\"rel-2\"").await.unwrap();
    let before = fixture.hash();
    let scratch = checkout.scratch().await.unwrap();
    let Planned::Ready(plan) = scratch.plan(&line, &plan_file, quiet()).await.unwrap() else { panic!("it must plan") };
    assert_eq!(plan.changes[0].actions, "update");
    assert_eq!(scratch.run(&argv("just apply prod catalog-airflow -auto-approve"), quiet()).await.unwrap().0, Some(0));
    drop(scratch);
    assert_eq!(fixture.hash(), before);
    assert_eq!(checkout.errored_state(), None);
}

const BRANCH: &str = "catalog-deploy/rel-2";

async fn push(fixture: &Fixture, literal: &str) -> Result<String> {
    let checkout = Checkout::new(fixture.options());
    checkout.push_version(BRANCH, &at("docker_image_tag"), literal, "Deploy rel-2\n\nBy hand.").await
}

#[tokio::test]
async fn the_version_is_pushed_alone_and_once() {
    let fixture = Fixture::new();
    let tree = Checkout::new(fixture.options()).tree();
    tree.set_attribute(&at("running_dags_cleared"), "true").await.unwrap();
    tree.set_attribute(&at("docker_image_tag"), "\"rel-2\"").await.unwrap();
    let before = hash(&fixture.root.join("environments"));
    let (head, index) =
        (git(&fixture.root, &["rev-parse", "HEAD"]), std::fs::read(fixture.root.join(".git/index")).unwrap());
    let commit = push(&fixture, "\"rel-2\"").await.unwrap();
    let shown = fixture.git_remote(&["show", "--format=%P%n%B", BRANCH]);
    assert!(shown.starts_with(&format!("{head}\nDeploy rel-2\n\nBy hand.\n")), "{shown}");
    let changed: Vec<_> =
        shown.lines().filter(|line| line.starts_with(['+', '-']) && !line[1..].starts_with(['+', '-'])).collect();
    assert_eq!(
        changed,
        ["-  docker_image_tag     = \"rel-1\" # bumped", "+  docker_image_tag     = \"rel-2\" # bumped"]
    );
    // Again, also when main has moved on elsewhere since: the branch is found and reused.
    assert_eq!(push(&fixture, "\"rel-2\"").await.unwrap(), commit);
    fixture.colleague("new", "x");
    assert_eq!(push(&fixture, "\"rel-2\"").await.unwrap(), commit);
    assert!(push(&fixture, "\"rel-3\"").await.unwrap_err().to_string().contains("something else than this version"));
    assert_eq!(hash(&fixture.root.join("environments")), before);
    assert_eq!(git(&fixture.root, &["rev-parse", "HEAD"]), head);
    assert_eq!(std::fs::read(fixture.root.join(".git/index")).unwrap(), index);
}

#[tokio::test]
async fn a_version_is_not_pushed_over_other_changes() {
    let fixture = Fixture::new();
    let commit =
        fixture.colleague(FILE, &std::fs::read_to_string(fixture.root.join(FILE)).unwrap().replace("# The", "# A"));
    let error = push(&fixture, "\"rel-2\"").await.unwrap_err();
    assert!(error.surely_refused() && error.to_string().contains("somebody changed it there"), "{error}");
    git(&fixture.root, &["pull", "-q"]);
    fixture.git_remote(&["update-ref", &format!("refs/heads/{BRANCH}"), &commit]);
    let error = push(&fixture, "\"rel-2\"").await.unwrap_err();
    assert!(error.surely_refused(), "{error}");
    fixture.git_remote(&["update-ref", "-d", &format!("refs/heads/{BRANCH}")]);
    fixture.refuse_pushes();
    let error = push(&fixture, "\"rel-2\"").await.unwrap_err();
    assert!(error.surely_refused() && error.to_string().contains("pre-receive hook declined"), "{error}");
}

#[tokio::test]
async fn only_a_plan_in_the_checkout_locks_the_state() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.environment.insert("TF_CLI_ARGS_plan".into(), "-parallelism=3".into());
    let checkout = Checkout::new(options);
    let show = ["sh", "-c", "echo $TF_CLI_ARGS_plan $TF_IN_AUTOMATION; exit 1"].map(str::to_owned);
    let plan_file = fixture.home.path().join("plan");
    let ours = format!("-parallelism=3 '-out={}' '-input=false' '-no-color'", plan_file.display());
    let scratch = checkout.scratch().await.unwrap();
    for (planned, wanted) in [
        (checkout.plan(&show, &plan_file, quiet()).await.unwrap(), format!("{ours} 1")),
        (scratch.plan(&show, &plan_file, quiet()).await.unwrap(), format!("{ours} '-lock=false' 1")),
    ] {
        assert_eq!(planned, Planned::Failed { code: Some(1), tail: vec![wanted] });
    }
}

#[tokio::test]
async fn a_file_at_a_commit_has_the_line_ends_of_the_working_tree_and_a_commit_those_of_git() {
    let fixture = Fixture::new();
    std::fs::write(fixture.root.join(".gitattributes"), "*.tf text eol=crlf\n").unwrap();
    let checkout = Checkout::new(fixture.options());
    let stored = checkout.stored("HEAD", FILE).await.unwrap();
    assert!(!stored.contains(&b'\r'));
    let held = String::from_utf8(checkout.read_at("HEAD", FILE).await.unwrap()).unwrap();
    assert_eq!(held, String::from_utf8(stored).unwrap().replace('\n', "\r\n"));
    assert!(checkout.read_at("HEAD", "absent").await.unwrap_err().not_found());
}
