//! What changes the world, through the binary: one fault at each of the five changes of a deploy, the way out that the run
//! itself names after each, and in the end every effect exactly once.
//!
//! A fault whose request takes effect strikes all five in one run, which must find the effects and go on. Of any other
//! the first is spoilt for as long as a process lives, then healed, and the next one spoilt for the process after it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use catalog_deploy::rehearsal::{AirflowEdition, Fault as Setting, World};
use serde_json::Value;

use super::fault::Fault;
use super::growth;
use super::shim::{Seen, Shim};
use super::table::{self, Line};
use crate::stage::{self, Done, Stage};

const SIDE_BY_SIDE: usize = 4;
/// A deploy takes seconds, the longest silences half a minute, and a machine may be busy with other things.
const LONGEST: Duration = Duration::from_secs(120);
const REFRESHES: [&str; 2] = ["image_data_refresh", "audio_data_refresh"];

/// One change of a deploy.
struct Link {
    name: &'static str,
    service: &'static str,
    /// What the journal calls it.
    intent: &'static str,
    /// What a message about it must name.
    request: &'static str,
    is: fn(&Seen) -> bool,
    /// The request that precedes it has come, so nobody may listen any more.
    due: fn(&[Seen]) -> bool,
}

const LINKS: [Link; 5] = [
    Link {
        name: "publish",
        service: "github",
        intent: "publish catalog-",
        request: "GitHub: PATCH /repos/WordPress/openverse/releases/170000051",
        is: |seen| seen.method == "PATCH" && seen.path.contains("/releases/"),
        // Read again by id, with the builds, after the yes.
        due: |seen| {
            count(seen, |it| it.path.contains("/releases/")) >= 1 && count(seen, |it| it.path.contains("ci_cd")) >= 2
        },
    },
    Link {
        name: "pause",
        service: "airflow",
        intent: "pause DAG ",
        request: "Airflow: PATCH /api/",
        is: |seen| sets(seen, true),
        // Each refresh is read when it is looked at, again when it is acted on, and once more on its own.
        due: |seen| {
            count(seen, |it| it.path.contains("/dags/audio")) >= 2 && seen.last().is_some_and(one_dag) && alone(seen)
        },
    },
    Link {
        name: "unpause",
        service: "airflow",
        intent: "unpause DAG ",
        request: "Airflow: PATCH /api/",
        is: |seen| sets(seen, false),
        // Read on its own once the new scheduler beats.
        due: |seen| {
            let paused = seen.iter().rposition(|it| sets(it, true));
            let beats = seen.iter().rposition(|it| it.path.ends_with("/health"));
            matches!((paused, beats), (Some(paused), Some(beats)) if paused < beats) && seen.last().is_some_and(one_dag)
        },
    },
    Link {
        name: "review",
        service: "github",
        intent: "approve the changelog",
        request: "GitHub: POST /repos/WordPress/openverse/pulls/",
        is: |seen| seen.method == "POST" && seen.path.ends_with("/reviews"),
        // Its pull request is looked for once more after its reviews were read.
        due: |seen| {
            let reviews = seen.iter().position(|it| it.path.contains("/reviews"));
            let last = seen.iter().rposition(|it| it.path.contains("/openverse/pulls?"));
            matches!((reviews, last), (Some(reviews), Some(last)) if reviews < last)
        },
    },
    Link {
        name: "open",
        service: "github",
        intent: "open the pull request",
        request: "GitHub: POST /repos/WordPress/openverse-infrastructure/pulls",
        is: |seen| seen.method == "POST" && seen.path.ends_with("-infrastructure/pulls"),
        due: |seen| count(seen, |it| it.path.contains("-infrastructure/pulls?") && it.path.contains("head=")) >= 2,
    },
];

fn count(seen: &[Seen], is: impl Fn(&Seen) -> bool) -> usize {
    seen.iter().filter(|seen| is(seen)).count()
}

fn sets(seen: &Seen, paused: bool) -> bool {
    seen.method == "PATCH" && seen.body.contains(&format!("\"is_paused\":{paused}"))
}

fn one_dag(seen: &Seen) -> bool {
    seen.method == "GET" && REFRESHES.iter().any(|dag| seen.path.ends_with(dag))
}

/// The last reading of a refresh is no part of a look, which reads both.
fn alone(seen: &[Seen]) -> bool {
    count(seen, one_dag) > 6
}

/// How a process ended.
struct Ended {
    exit: i64,
    reason: String,
    message: String,
    next: Vec<String>,
    stdout: String,
    stderr: String,
    took: Duration,
}

struct Chain {
    stage: Stage,
    shims: BTreeMap<&'static str, Shim>,
}

impl Chain {
    fn new(airflow: AirflowEdition) -> Self {
        let stage = Stage::with(|options| {
            options.airflow = airflow;
            options.faults = vec![Setting::WaitingRefreshes];
        });
        let mut text = std::fs::read_to_string(&stage.config).unwrap();
        let config: toml::Table = text.parse().unwrap();
        let mut shims = BTreeMap::new();
        for (service, key) in [("github", "api_url"), ("airflow", "url"), ("registry", "url"), ("sentry", "url")] {
            let origin = config[service][key].as_str().unwrap();
            let shim = Shim::start(origin);
            text = text.replace(&format!("{origin:?}"), &format!("{:?}", shim.url));
            shims.insert(service, shim);
        }
        std::fs::write(&stage.config, text).unwrap();
        Self { stage, shims }
    }

    fn spoil(&self, fault: Fault, times: Option<usize>, link: &Link) {
        let shim = &self.shims[link.service];
        let (is, due) = (link.is, link.due);
        if fault == Fault::Refused {
            let from = shim.seen().len();
            shim.refuse_once(move |seen| seen.len() > from && due(&seen[from..]), is);
        } else {
            shim.spoil(fault, times, is);
        }
    }

    fn heal(&self) {
        self.shims.values().for_each(Shim::heal);
    }

    /// How often a change was asked for, faults included.
    fn sent(&self, link: &Link) -> usize {
        count(&self.shims[link.service].seen(), link.is)
    }

    fn run(&self, arguments: &[String]) -> Ended {
        let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for gate in ["publish", "bump", "apply", "changelog", "pull-request"] {
            words.extend(["--approve", gate]);
        }
        words.push("--json");
        let begin = Instant::now();
        let Done { code, stdout, stderr } = stage::finish_within(self.stage.start(&words), LONGEST * 2);
        let mut events = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let finish = events.rfind(|event| event["event"] == "run-finished");
        let finish = finish.unwrap_or_else(|| panic!("{arguments:?} never finished ({code}):\n{stderr}"));
        assert_eq!(finish["exit"], code, "{stderr}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Ended {
            exit: code.into(),
            reason: text(&finish["reason"]),
            message: text(&finish["message"]),
            next: finish["next"].as_array().unwrap().iter().map(text).collect(),
            stdout,
            stderr,
            took: begin.elapsed(),
        }
    }
}

impl Ended {
    /// The command that the run names to go on, else the same again.
    fn go_on(&self) -> Vec<String> {
        let resume = self.next.iter().find_map(|next| next.split("catalog-deploy resume ").nth(1));
        match resume.and_then(|rest| rest.split(|c: char| c.is_whitespace() || "`;,".contains(c)).next()) {
            Some(run) => vec!["resume".into(), run.into()],
            None => vec!["prod".into()],
        }
    }
}

/// What came of one link: a word for the table.
type Words = BTreeMap<&'static str, String>;

struct Played {
    fault: Fault,
    words: Words,
    wrong: Vec<String>,
}

#[test]
fn every_change_of_a_deploy_with_airflow_2() {
    play("Airflow 2", AirflowEdition::V2, &Fault::ALL.map(|fault| (fault, None)));
}

/// A JWT instead of a password, and other words for the same.
#[test]
fn every_change_of_a_deploy_with_airflow_3() {
    use Fault::*;
    let faults = [ResetBefore, ResetAfter, SilentAfter, Unauthorized, Forbidden, MissingFields];
    play("Airflow 3", AirflowEdition::V3, &faults.map(|fault| (fault, None)));
}

/// What passes is got over without anybody: the effect is looked up, is not there, and is asked for once more.
#[test]
fn every_change_of_a_deploy_whose_fault_passes() {
    use Fault::*;
    let faults = [ResetBefore, SilentBefore, Broken, LoginPage];
    play("once, Airflow 2", AirflowEdition::V2, &faults.map(|fault| (fault, Some(1))));
}

fn play(title: &str, airflow: AirflowEdition, cells: &[(Fault, Option<usize>)]) {
    let begin = Instant::now();
    let queue = Mutex::new(cells.to_vec());
    let played = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some((fault, times)) = { queue.lock().unwrap().pop() } {
                    let one = chain(airflow, fault, times);
                    played.lock().unwrap().push(one);
                }
            });
        }
    });
    let played = played.into_inner().unwrap();
    let lines: Vec<Line> = LINKS
        .iter()
        .map(|link| Line {
            about: link.name.to_owned(),
            cells: played.iter().map(|one| (one.fault, one.words[link.name].clone())).collect(),
        })
        .collect();
    let legend = format!(
        "{} chains in {:.0} s; exit of the process that it ended (+ where it went on), and how often it was sent",
        played.len(),
        begin.elapsed().as_secs_f64()
    );
    table::print(&format!("Changes and faults, whole runs, {title}"), &legend, &lines);
    let wrong: Vec<String> = played.into_iter().flat_map(|one| one.wrong).collect();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn chain(airflow: AirflowEdition, fault: Fault, times: Option<usize>) -> Played {
    let chain = Chain::new(airflow);
    let paused = chain.stage.world.paused_dags();
    let together = fault.reaches() || times.is_some();
    let mut words = Words::new();
    let mut wrong = Vec::new();
    let mut arguments = vec!["prod".to_owned()];
    let mut spoilt: Vec<&Link> = Vec::new();
    let mut rest = LINKS.iter();
    let last = loop {
        if together {
            spoilt.extend(rest.by_ref());
        } else {
            spoilt.extend(rest.by_ref().next());
            // A refused review is told and stops nothing, so the process comes to the next change as well.
            if spoilt.last().is_some_and(|link| expected(link, fault).is_none()) {
                spoilt.extend(rest.by_ref().next());
            }
        }
        let before: Vec<usize> = spoilt.iter().map(|link| chain.sent(link)).collect();
        spoilt.iter().for_each(|link| chain.spoil(fault, times, link));
        let ended = chain.run(&arguments);
        chain.heal();
        if ended.took > LONGEST {
            wrong.push(format!("took {:?}", ended.took));
        }
        let over = matches!(ended.exit, 0 | 7);
        for (link, before) in spoilt.iter().zip(before) {
            let sent = chain.sent(link) - before;
            let stops = !over && spoilt.last().is_some_and(|last| last.name == link.name);
            let end = if stops { ended.exit.to_string() } else { "+".into() };
            words.insert(link.name, format!("{end}·{sent}"));
            wrong.extend(judge(link, fault, times, &ended, stops));
        }
        if over && rest.len() == 0 {
            break ended;
        }
        if over {
            wrong.push(format!("ended with {} before every change was spoilt: {}", ended.exit, ended.stderr));
            break ended;
        }
        if spoilt.is_empty() {
            wrong.push(format!("ended with {} though nothing was wrong any more: {}", ended.exit, ended.stderr));
            break ended;
        }
        arguments = ended.go_on();
        spoilt.clear();
    };
    wrong.extend(left(&chain.stage.world, &chain, &paused, &last));
    for link in &LINKS {
        words.entry(link.name).or_insert_with(|| "?".into());
    }
    let wrong =
        wrong.into_iter().map(|what| format!("{}{}: {what}", fault.name(), if times.is_some() { " once" } else { "" }));
    Played { fault, words, wrong: wrong.collect() }
}

/// The exit of a process whose change fails so; `None` where it goes on.
fn expected(link: &Link, fault: Fault) -> Option<i64> {
    if fault.reaches() {
        return None;
    }
    Some(match (link.name, fault) {
        // Whoever may not review leaves it to somebody else.
        ("review", Fault::Forbidden | Fault::NotFound) => return None,
        ("unpause", _) => 9,
        (_, Fault::Unauthorized | Fault::Forbidden) => 4,
        // Nothing was changed yet, and that is known.
        ("publish", Fault::Refused | Fault::NotFound | Fault::Limited) => 3,
        _ => 1,
    })
}

fn judge(link: &Link, fault: Fault, times: Option<usize>, ended: &Ended, stops: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let wanted = expected(link, fault).filter(|_| times.is_none());
    let got = stops.then_some(ended.exit);
    let shown = || format!("{} {}; next {:?}\n{}", ended.reason, ended.message, ended.next, ended.stderr);
    if got != wanted {
        wrong.push(format!("{}: exit {got:?} instead of {wanted:?}: {}", link.name, shown()));
    }
    if !ended.stdout.lines().any(|line| line.contains(r#""event":"intent""#) && line.contains(link.intent)) {
        wrong.push(format!("{}: it was never tried: {}", link.name, shown()));
    }
    if stops {
        // Where nobody listens, giving back fails at the look that comes first.
        let looked = fault == Fault::Refused && ended.message.contains("Airflow: GET /api/");
        if !ended.message.contains(link.request) && (link.name != "unpause" || !looked) {
            wrong.push(format!("{}: does not name {}: {}", link.name, link.request, shown()));
        }
        if ended.next.is_empty() || !ended.next.iter().any(|next| next.contains("catalog-deploy")) {
            wrong.push(format!("{}: names no command to go on with: {}", link.name, shown()));
        }
    }
    wrong
}

/// In the end the world is as after any deploy, and each change was made once.
fn left(world: &World, chain: &Chain, paused: &[String], last: &Ended) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |what: &str, holds: bool| {
        if !holds {
            wrong.push(format!("in the end {what} (exit {} {}):\n{}", last.exit, last.message, last.stderr));
        }
    };
    let took = |method: &str, part: &str, body: &str| {
        let requests = world.requests();
        let took = requests.iter().filter(|it| {
            it.method == method
                && it.path.split('?').next().unwrap().ends_with(part)
                && it.body.as_ref().is_some_and(|it| it.to_string().contains(body))
                && (200..300).contains(&it.status)
        });
        took.count()
    };
    must("the release was not published once", took("PATCH", "/releases/170000051", "false") == 1);
    must("the changelog was not approved once", took("POST", "/reviews", "APPROVE") == 1);
    must("the pull request was not opened once", took("POST", "-infrastructure/pulls", "") == 1);
    for dag in REFRESHES {
        must(&format!("{dag} was not paused once"), took("PATCH", dag, "true") == 1);
        must(&format!("{dag} was not unpaused once"), took("PATCH", dag, "false") == 1);
    }
    must("other DAGs are paused", world.paused_dags() == paused);
    must("it is not deployed", world.deployed_tag().as_deref() == Some("rel-2024.09.30.10.20.30"));
    must("the flag is not false", chain.stage.attribute("running_dags_cleared") == "false");
    must("the lock is held", !chain.stage.locked());
    let missing = growth::missing(world);
    must(&format!("no row of the matrix stands for {missing:?}"), missing.is_empty());
    wrong
}
