//! `--help` of every command, as it is printed.

use insta::assert_snapshot;

use super::printed;

#[test]
fn help() {
    assert_snapshot!(printed(&["--help"]), @"
    Carries out deployment runbooks: checks first, asks at the gates, and gives back whatever it changed
    for the time of the deploy. `catalog-deploy rehearse prod` shows a whole deploy without any
    credentials

    Usage: catalog-deploy [OPTIONS] <RUNBOOK>
           catalog-deploy [OPTIONS] [RUNBOOK] <COMMAND>

    Commands:
      rehearse     The same run, same code, against an embedded world: nothing outside this machine is
                   touched
      resume       Go on with an interrupted run (the newest one if none is named)
      restore      Give back what a run still holds, close it, and do nothing else
      status       What is deployed, who holds the lock, what is still open
      tags         Image tags that --tag can name: when each was deployed, by whom, and how that ended
      history      Past runs
      show         One run's report
      doctor       Tools, credentials, reachability and checkout: pass, warn, fail or unknown
      runbook      The runbooks themselves
      unlock       Break a dead holder's lock; the exact run id is required
      completions  Completions for a shell
      man          The manual page
      help         Print this message or the help of the given subcommand(s)

    Arguments:
      <RUNBOOK>  Name or file of the runbook to run, e.g. `prod`

    Options:
      -n, --dry-run                  Look at everything, show what would happen, change nothing
      -t, --tag [<TAG>]              Deploy this image tag and skip the release steps: the rollback.
                                     Without a value, choose from a list
          --approve <GATE[@DIGEST]>  Answer a gate beforehand; with @DIGEST, only exactly what that
                                     digest stands for
          --override <CHECK=REASON>  Continue without an answer to this check (airflow, registry,
                                     github, lock, latest) or over this running DAG, and why; recorded.
                                     An override replaces a missing answer, never an answer
          --wait <DURATION>          Let running DAGs finish, at most this long, e.g. 30m
          --lock-wait <DURATION>     Wait for somebody else's deploy to end, at most this long
          --allow-empty-release      Publish a release whose notes hold no change
          --no-input                 Never ask; a gate that is not answered beforehand ends the run with
                                     5
          --json                     Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>           Where the infrastructure repository is checked out
          --config <FILE>            Configuration to use instead of the one in the home directory
      -v, --verbose                  Tell more
      -q, --quiet                    Tell only what matters
          --color <WHEN>             When to use colour [default: auto] [possible values: auto, always,
                                     never]
      -h, --help                     Print help
      -V, --version                  Print version

    Exit codes: 0 done · 1 a step failed (resumable) · 2 usage, runbook or configuration · 3 refused,
    nothing was changed · 4 credentials · 5 a gate was declined or needs an answer · 6 somebody else
    deploys · 7 deployed, but unhealthy, inconclusive or unfinished · 8 still waiting at the deadline
    (resumable) · 9 something held could not be given back · 129/130/143 interrupted
    ");
}

#[test]
fn help_of_rehearse() {
    assert_snapshot!(printed(&["rehearse", "--help"]), @"
    The same run, same code, against an embedded world: nothing outside this machine is touched

    Usage: catalog-deploy rehearse [OPTIONS] [RUNBOOK]

    Arguments:
      [RUNBOOK]  Runbook to rehearse [default: prod]

    Options:
      -n, --dry-run                  Look at everything, show what would happen, change nothing
      -t, --tag [<TAG>]              Deploy this image tag and skip the release steps: the rollback.
                                     Without a value, choose from a list
          --approve <GATE[@DIGEST]>  Answer a gate beforehand; with @DIGEST, only exactly what that
                                     digest stands for
          --override <CHECK=REASON>  Continue without an answer to this check (airflow, registry,
                                     github, lock, latest) or over this running DAG, and why; recorded.
                                     An override replaces a missing answer, never an answer
          --wait <DURATION>          Let running DAGs finish, at most this long, e.g. 30m
          --lock-wait <DURATION>     Wait for somebody else's deploy to end, at most this long
          --allow-empty-release      Publish a release whose notes hold no change
          --fault <NAME>             Play this fault (see --list-faults); repeatable
          --list-faults              List the faults that can be played
          --yes                      Answer every gate with yes; exists only here
          --airflow <MAJOR>          Airflow's major version in the embedded world [default: 2]
          --keep <DIR>               Leave the world behind in DIR, to look at
          --serve <DIR>              Only the world: it runs until Ctrl-C and writes DIR/config.toml to
                                     use it with
          --no-input                 Never ask; a gate that is not answered beforehand ends the run with
                                     5
          --json                     Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>           Where the infrastructure repository is checked out
          --config <FILE>            Configuration to use instead of the one in the home directory
      -v, --verbose                  Tell more
      -q, --quiet                    Tell only what matters
          --color <WHEN>             When to use colour [default: auto] [possible values: auto, always,
                                     never]
      -h, --help                     Print help
    ");
}

#[test]
fn help_of_resume() {
    assert_snapshot!(printed(&["resume", "--help"]), @"
    Go on with an interrupted run (the newest one if none is named)

    Usage: catalog-deploy resume [OPTIONS] [RUN]

    Arguments:
      [RUN]  

    Options:
          --approve <GATE[@DIGEST]>  Answer a gate beforehand
          --override <CHECK=REASON>  Continue without an answer to this check, and why; recorded
          --no-input                 Never ask; a gate that is not answered beforehand ends the run with
                                     5
          --json                     Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>           Where the infrastructure repository is checked out
          --config <FILE>            Configuration to use instead of the one in the home directory
      -v, --verbose                  Tell more
      -q, --quiet                    Tell only what matters
          --color <WHEN>             When to use colour [default: auto] [possible values: auto, always,
                                     never]
      -h, --help                     Print help
    ");
}

#[test]
fn help_of_restore() {
    assert_snapshot!(printed(&["restore", "--help"]), @"
    Give back what a run still holds, close it, and do nothing else

    Usage: catalog-deploy restore [OPTIONS] [RUN]

    Arguments:
      [RUN]  

    Options:
          --override <CHECK=REASON>  Restore without an answer to this check (`lock`, where the remote
                                     does not answer), and why; recorded
          --no-input                 Never ask; a gate that is not answered beforehand ends the run with
                                     5
          --json                     Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>           Where the infrastructure repository is checked out
          --config <FILE>            Configuration to use instead of the one in the home directory
      -v, --verbose                  Tell more
      -q, --quiet                    Tell only what matters
          --color <WHEN>             When to use colour [default: auto] [possible values: auto, always,
                                     never]
      -h, --help                     Print help
    ");
}

#[test]
fn help_of_tags() {
    assert_snapshot!(printed(&["tags", "--help"]), @"
    Image tags that --tag can name: when each was deployed, by whom, and how that ended

    Usage: catalog-deploy tags [OPTIONS] [RUNBOOK]

    Arguments:
      [RUNBOOK]  

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    ");
}

#[test]
fn help_of_status() {
    assert_snapshot!(printed(&["status", "--help"]), @r#"
    What is deployed, who holds the lock, what is still open

    Usage: catalog-deploy status [OPTIONS] [RUNBOOK]

    Arguments:
      [RUNBOOK]  

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_history() {
    assert_snapshot!(printed(&["history", "--help"]), @r#"
    Past runs

    Usage: catalog-deploy history [OPTIONS]

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_show() {
    assert_snapshot!(printed(&["show", "--help"]), @"
    One run's report

    Usage: catalog-deploy show [OPTIONS] <RUN>

    Arguments:
      <RUN>
              

    Options:
          --format <FORMAT>
              Possible values:
              - text
              - markdown
              - json
              - incident: What whoever takes over has to know, as Markdown
              
              [default: text]

          --no-input
              Never ask; a gate that is not answered beforehand ends the run with 5

          --json
              Events as JSON, one object a line, on stdout

      -C, --checkout <DIR>
              Where the infrastructure repository is checked out

          --config <FILE>
              Configuration to use instead of the one in the home directory

      -v, --verbose
              Tell more

      -q, --quiet
              Tell only what matters

          --color <WHEN>
              When to use colour
              
              [default: auto]
              [possible values: auto, always, never]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn help_of_doctor() {
    assert_snapshot!(printed(&["doctor", "--help"]), @r#"
    Tools, credentials, reachability and checkout: pass, warn, fail or unknown

    Usage: catalog-deploy doctor [OPTIONS] [RUNBOOK]

    Arguments:
      [RUNBOOK]  

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_runbook() {
    assert_snapshot!(printed(&["runbook", "--help"]), @r#"
    The runbooks themselves

    Usage: catalog-deploy runbook [OPTIONS] <COMMAND>

    Commands:
      list    The runbooks that can be run, and where each comes from
      show    A runbook as the document people read
      check   Every problem of a runbook, with its place
      schema  The JSON Schema of the format
      help    Print this message or the help of the given subcommand(s)

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_runbook_list() {
    assert_snapshot!(printed(&["runbook", "list", "--help"]), @r#"
    The runbooks that can be run, and where each comes from

    Usage: catalog-deploy runbook list [OPTIONS]

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_runbook_show() {
    assert_snapshot!(printed(&["runbook", "show", "--help"]), @r#"
    A runbook as the document people read

    Usage: catalog-deploy runbook show [OPTIONS] <RUNBOOK>

    Arguments:
      <RUNBOOK>  

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_runbook_check() {
    assert_snapshot!(printed(&["runbook", "check", "--help"]), @r#"
    Every problem of a runbook, with its place

    Usage: catalog-deploy runbook check [OPTIONS] <RUNBOOK>

    Arguments:
      <RUNBOOK>  

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_runbook_schema() {
    assert_snapshot!(printed(&["runbook", "schema", "--help"]), @r#"
    The JSON Schema of the format

    Usage: catalog-deploy runbook schema [OPTIONS]

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_unlock() {
    assert_snapshot!(printed(&["unlock", "--help"]), @r#"
    Break a dead holder's lock; the exact run id is required

    Usage: catalog-deploy unlock [OPTIONS] --run <ID> <RUNBOOK>

    Arguments:
      <RUNBOOK>  

    Options:
          --run <ID>        
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_completions() {
    assert_snapshot!(printed(&["completions", "--help"]), @r#"
    Completions for a shell

    Usage: catalog-deploy completions [OPTIONS] <SHELL>

    Arguments:
      <SHELL>  [possible values: bash, elvish, fish, powershell, zsh]

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}

#[test]
fn help_of_man() {
    assert_snapshot!(printed(&["man", "--help"]), @r#"
    The manual page

    Usage: catalog-deploy man [OPTIONS]

    Options:
          --no-input        Never ask; a gate that is not answered beforehand ends the run with 5
          --json            Events as JSON, one object a line, on stdout
      -C, --checkout <DIR>  Where the infrastructure repository is checked out
          --config <FILE>   Configuration to use instead of the one in the home directory
      -v, --verbose         Tell more
      -q, --quiet           Tell only what matters
          --color <WHEN>    When to use colour [default: auto] [possible values: auto, always, never]
      -h, --help            Print help
    "#);
}
