//! Pictures of whole screens.

use indicatif::InMemoryTerm;

use super::*;
use crate::event::*;
use crate::report::samples::*;

struct Shown {
    term: InMemoryTerm,
    terminal: Terminal,
}

impl Shown {
    fn new(rows: u16, columns: u16, verbosity: Verbosity) -> Self {
        let term = InMemoryTerm::new(rows, columns);
        let canvas = Canvas::new(Arc::new(term.clone()), None, ColorChoice::Never, verbosity);
        Self { term, terminal: Terminal::silent(canvas) }
    }

    fn tell(mut self, events: &[Stamped]) -> Self {
        events.iter().for_each(|event| self.terminal.event(event));
        self
    }

    fn picture(&self) -> String {
        self.term.contents()
    }
}

/// The events of the failing run up to the moment `second`.
fn until(second: i64) -> Vec<Stamped> {
    failing().into_iter().filter(|stamped| stamped.at <= at(second)).collect()
}

#[test]
fn waiting_at_80_columns() {
    let shown = Shown::new(30, 80, Verbosity::Normal).tell(&until(59));
    shown.terminal.canvas.tick(at(43 + 723));
    insta::assert_snapshot!(shown.picture(), @r###"
prod: Deploy the catalog to production (deploy)
  run 2024-09-09-adal · ada on laptop · runbook built in
 1 checkout: no DAG is running among 14 that this account sees:
             flickr_workflow, flickr_workflow, flickr_workflow,
             flickr_workflow, flickr_workflow, flickr_workflow,
             flickr_workflow, flickr_workflow, flickr_workflow, 日本語_dag
 2 publish: draft catalog-2024.09.09.23.00.57 holds 4 changes
•  1    The infrastructure checkout is clean and up to date · nothing to do
✔  2    Publish the drafted catalog release · done
⠙  3    The release's Docker image is on GHCR
         waiting for ghcr.io to have rel-2024.09.09.23.00.57, 12m 03s of 30m
         could not ask just now, asking again: registry ghcr.io: broken (502):…
   4 🔒 Bump the catalog version in the infrastructure repository [asks]
   5    Set running_dags_cleared to true
   6 🔒 Plan and apply with Terraform [asks]
   7    Ist die Produktion gesund? 本番は正常ですか 🚀
"###);
}

#[test]
fn waiting_at_200_columns() {
    let shown = Shown::new(30, 200, Verbosity::Normal).tell(&until(59));
    shown.terminal.canvas.tick(at(43 + 723));
    insta::assert_snapshot!(shown.picture(), @r###"
prod: Deploy the catalog to production (deploy)
  run 2024-09-09-adal · ada on laptop · runbook built in
 1 checkout: no DAG is running among 14 that this account sees: flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow,
             flickr_workflow, 日本語_dag
•  1    The infrastructure checkout is clean and up to date · nothing to do
✔  2    Publish the drafted catalog release · draft catalog-2024.09.09.23.00.57 holds 4 changes
⠙  3    The release's Docker image is on GHCR
         waiting for ghcr.io to have rel-2024.09.09.23.00.57, 12m 03s of 30m
         could not ask just now, asking again: registry ghcr.io: broken (502): bad gateway
   4 🔒 Bump the catalog version in the infrastructure repository [asks]
   5    Set running_dags_cleared to true
   6 🔒 Plan and apply with Terraform [asks]
   7    Ist die Produktion gesund? 本番は正常ですか 🚀
"###);
}

#[test]
fn applying_tails_the_child() {
    let mut events = until(121);
    for index in 0..9 {
        events.push(stamped(
            122,
            output("apply", &format!("module.catalog-airflow: line {index} 日本語 {}", "x".repeat(99))),
        ));
    }
    let shown = Shown::new(30, 80, Verbosity::Normal).tell(&events);
    insta::assert_snapshot!(shown.picture(), @r###"
prod: Deploy the catalog to production (deploy)
  run 2024-09-09-adal · ada on laptop · runbook built in
 1 checkout: no DAG is running among 14 that this account sees:
             flickr_workflow, flickr_workflow, flickr_workflow,
             flickr_workflow, flickr_workflow, flickr_workflow,
             flickr_workflow, flickr_workflow, flickr_workflow, 日本語_dag
 2 publish: draft catalog-2024.09.09.23.00.57 holds 4 changes
apply: Apply the plan to production
  - replace module.catalog-airflow.aws_instance.instance (its user data
    changed)
  - Airflow stops for some minutes
  digest 0123456789ab
apply: yes, by --approve
•  1    The infrastructure checkout is clean and up to date · nothing to do
✔  2    Publish the drafted catalog release · done
•  3    The release's Docker image is on GHCR · nothing to do
✔  4 🔒 Bump the catalog version in the infrastructure repository · done
✔  5    Set running_dags_cleared to true · done
⠋  6 🔒 Plan and apply with Terraform [asks] · 30s
         │ module.catalog-airflow: line 3 日本語 xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
         │ module.catalog-airflow: line 4 日本語 xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
         │ module.catalog-airflow: line 5 日本語 xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
         │ module.catalog-airflow: line 6 日本語 xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
         │ module.catalog-airflow: line 7 日本語 xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
         │ module.catalog-airflow: line 8 日本語 xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
   7    Ist die Produktion gesund? 本番は正常ですか 🚀
"###);
}

#[test]
fn a_failed_run_ends_with_what_is_held_and_what_to_do() {
    let shown = Shown::new(40, 80, Verbosity::Normal).tell(&failing());
    insta::assert_snapshot!(shown.picture(), @r###"
prod: Deploy the catalog to production (deploy)
  run 2024-09-09-adal · ada on laptop · runbook built in
 1 checkout: no DAG is running among 14 that this account sees:
             flickr_workflow, flickr_workflow, flickr_workflow,
             flickr_workflow, flickr_workflow, flickr_workflow,
             flickr_workflow, flickr_workflow, flickr_workflow, 日本語_dag
 2 publish: draft catalog-2024.09.09.23.00.57 holds 4 changes
apply: Apply the plan to production
  - replace module.catalog-airflow.aws_instance.instance (its user data
    changed)
  - Airflow stops for some minutes
  digest 0123456789ab
apply: yes, by --approve
took no effect: apply the plan 0123456789ab: terraform exited 1
 6 apply: failed: terraform: apply: InsufficientInstanceCapacity in us-east-1a
given back: running_dags_cleared in environments/prod/catalog-airflow.tf:
            running_dags_cleared is false again
could not give back: docker_image_tag in environments/prod/catalog-airflow.tf:
                     somebody edited the line
•  1    The infrastructure checkout is clean and up to date · nothing to do
✔  2    Publish the drafted catalog release · done
•  3    The release's Docker image is on GHCR · nothing to do
✔  4 🔒 Bump the catalog version in the infrastructure repository · done
✔  5    Set running_dags_cleared to true · done
✘  6 🔒 Plan and apply with Terraform · failed: terraform: apply: Insufficient…
   7    Ist die Produktion gesund? 本番は正常ですか 🚀
could not apply the plan: InsufficientInstanceCapacity in us-east-1a
still held: docker_image_tag in environments/prod/catalog-airflow.tf, now
            "rel-2", before "rel-1" (in /src/infra on laptop)
  next: catalog-deploy resume 2024-09-09-adal
  next: catalog-deploy restore 2024-09-09-adal
"###);
}

#[test]
fn a_failed_run_at_200_columns() {
    let shown = Shown::new(40, 200, Verbosity::Normal).tell(&failing());
    insta::assert_snapshot!(shown.picture(), @r###"
prod: Deploy the catalog to production (deploy)
  run 2024-09-09-adal · ada on laptop · runbook built in
 1 checkout: no DAG is running among 14 that this account sees: flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow,
             flickr_workflow, 日本語_dag
apply: Apply the plan to production
  - replace module.catalog-airflow.aws_instance.instance (its user data changed)
  - Airflow stops for some minutes
  digest 0123456789ab
apply: yes, by --approve
took no effect: apply the plan 0123456789ab: terraform exited 1
 6 apply: failed: terraform: apply: InsufficientInstanceCapacity in us-east-1a
given back: running_dags_cleared in environments/prod/catalog-airflow.tf: running_dags_cleared is false again
could not give back: docker_image_tag in environments/prod/catalog-airflow.tf: somebody edited the line
•  1    The infrastructure checkout is clean and up to date · nothing to do
✔  2    Publish the drafted catalog release · draft catalog-2024.09.09.23.00.57 holds 4 changes
•  3    The release's Docker image is on GHCR · nothing to do
✔  4 🔒 Bump the catalog version in the infrastructure repository · done
✔  5    Set running_dags_cleared to true · done
✘  6 🔒 Plan and apply with Terraform · failed: terraform: apply: InsufficientInstanceCapacity in us-east-1a
   7    Ist die Produktion gesund? 本番は正常ですか 🚀
could not apply the plan: InsufficientInstanceCapacity in us-east-1a
still held: docker_image_tag in environments/prod/catalog-airflow.tf, now "rel-2", before "rel-1" (in /src/infra on laptop)
  next: catalog-deploy resume 2024-09-09-adal
  next: catalog-deploy restore 2024-09-09-adal
"###);
}

#[test]
fn quiet_still_tells_what_a_person_must_do() {
    let shown = Shown::new(40, 80, Verbosity::Quiet).tell(&failing());
    let picture = shown.picture();
    assert!(!picture.contains("flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow"), "{picture}");
    assert!(picture.contains("next: catalog-deploy resume"), "{picture}");
    assert!(picture.contains("still held: docker_image_tag"), "{picture}");
}

#[test]
fn a_low_terminal_keeps_the_current_step() {
    let shown = Shown::new(6, 60, Verbosity::Quiet).tell(&until(122));
    insta::assert_snapshot!(shown.picture(), @r###"
apply: yes, by --approve
   … 3 earlier steps
✔  4 🔒 Bump the catalog version in the infrastructure rep…
✔  5    Set running_dags_cleared to true · done
⠋  6 🔒 Plan and apply with Terraform [asks] · 30s
   7    Ist die Produktion gesund? 本番は正常ですか 🚀
"###);
}

#[test]
fn nothing_is_drawn_during_a_prompt_and_nothing_is_lost() {
    let mut shown = Shown::new(30, 80, Verbosity::Normal).tell(&until(3));
    let before = shown.picture();
    let paused = crate::report::Paused::new(shown.terminal.screen());
    assert!(!shown.picture().contains("waits for your answer"), "{}", shown.picture());
    shown.terminal.event(&stamped(5, Event::Warned { text: "the lock's heartbeat was late".into() }));
    shown.terminal.canvas.tick(at(6));
    assert!(!shown.picture().contains("heartbeat"), "{}", shown.picture());
    assert!(!shown.picture().contains("waits for your answer"), "{}", shown.picture());
    drop(paused);
    assert!(before.contains("waits for your answer"), "{before}");
    assert!(shown.picture().contains("warning: the lock's heartbeat was late"), "{}", shown.picture());
    assert!(shown.picture().contains("waits for your answer"), "{}", shown.picture());
}

#[test]
fn colour_only_where_it_was_chosen() {
    let steps = {
        let mut steps = Steps::default();
        until(59).iter().for_each(|event| steps.event(event));
        steps
    };
    let drawn = |color| picture::Paint::new(color, Verbosity::Normal).picture(&steps, at(60), 0, (40, 80)).join("\n");
    assert!(!drawn(ColorChoice::Never).contains('\u{1b}'));
    assert_eq!(console::strip_ansi_codes(&drawn(ColorChoice::Always)), drawn(ColorChoice::Never));
    assert!(drawn(ColorChoice::Always).contains('\u{1b}'));
}

#[test]
fn every_row_fits_every_width() {
    for columns in [20, 41, 80, 81, 200] {
        let mut steps = Steps::default();
        for event in failing() {
            steps.event(&event);
            let paint = picture::Paint::new(ColorChoice::Always, Verbosity::Normal);
            for row in paint.picture(&steps, event.at, 3, (24, columns)) {
                assert!(console::measure_text_width(&row) < usize::from(columns), "{columns}: {row}");
            }
        }
    }
}

#[test]
fn a_resumed_run_shows_what_was_done_and_looks_again_at_the_rest() {
    let mut shown = Shown::new(30, 80, Verbosity::Normal);
    failing().iter().for_each(|event| shown.terminal.past(event));
    assert_eq!(shown.picture(), "");
    let shown = shown.tell(&[stamped(900, Event::RunResumed { who: "grace".into(), host: "desk".into() })]);
    insta::assert_snapshot!(shown.picture(), @r###"
grace on desk goes on with run 2024-09-09-adal
•  1    The infrastructure checkout is clean and up to date · nothing to do
✔  2    Publish the drafted catalog release · done
•  3    The release's Docker image is on GHCR · nothing to do
✔  4 🔒 Bump the catalog version in the infrastructure repository · done
✔  5    Set running_dags_cleared to true · done
   6 🔒 Plan and apply with Terraform [asks]
   7    Ist die Produktion gesund? 本番は正常ですか 🚀
"###);
}

#[test]
fn a_preview_leaves_the_telling_to_its_report() {
    let events = [
        stamped(0, started(Mode::Preview)),
        stamped(0, step_started("checkout")),
        stamped(0, step_started("publish")),
        stamped(1, saw("checkout", Evidence::warning("an unmerged version bump is open"))),
        stamped(1, Event::GateAsked { question: question("publish"), waits: true }),
        stamped(1, finished("publish", StepResult::WouldChange)),
        stamped(2, refused("checkout", "the checkout is 2 commits behind", "git pull --ff-only")),
    ];
    let shown = Shown::new(30, 80, Verbosity::Normal).tell(&events);
    insta::assert_snapshot!(shown.picture(), @r###"
prod: Deploy the catalog to production (dry run, nothing is changed)
  run 2024-09-09-adal · ada on laptop · runbook built in
✘  1    The infrastructure checkout is clean and up to date · refused: the che…
✔  2    Publish the drafted catalog release · would change
   3    The release's Docker image is on GHCR
   4 🔒 Bump the catalog version in the infrastructure repository [asks]
   5    Set running_dags_cleared to true
   6 🔒 Plan and apply with Terraform [asks]
   7    Ist die Produktion gesund? 本番は正常ですか 🚀
"###);
}
