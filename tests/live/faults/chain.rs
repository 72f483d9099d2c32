//! What changes the world, through the binary: one fault at each of the five changes of a deploy, the way out that the run
//! itself names after each, and in the end every effect exactly once.
//!
//! A fault whose request takes effect strikes all five in one run, which must find the effects and go on. Of any other
//! the first is spoiled for as long as a process lives, then healed, and the next one spoiled for the process after it.
//! After the deploy no change waits for another, so all that are left are spoiled together, one less in each process.

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
        // The first one to be paused is read when it is looked at, again when it is acted on, and once more on its own.
        due: |seen| count(seen, |it| one_dag(it) && it.path.ends_with("/audio_data_refresh")) >= 3,
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

/// The first of [`LINKS`] after the deploy.
const AFTER: usize = 2;

fn count(seen: &[Seen], is: impl Fn(&Seen) -> bool) -> usize {
    seen.iter().filter(|seen| is(seen)).count()
}

fn sets(seen: &Seen, paused: bool) -> bool {
    seen.method == "PATCH" && seen.body.contains(&format!("\"is_paused\":{paused}"))
}

fn one_dag(seen: &Seen) -> bool {
    seen.method == "GET" && REFRESHES.iter().any(|dag| seen.path.ends_with(dag))
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
    let mut at = 0;
    let last = loop {
        let spoiled = match at {
            0 if together => &LINKS[..],
            _ if together || at == LINKS.len() => &[],
            AFTER.. => &LINKS[at..],
            _ => &LINKS[at..=at],
        };
        let before: Vec<usize> = spoiled.iter().map(|link| chain.sent(link)).collect();
        spoiled.iter().for_each(|link| chain.spoil(fault, times, link));
        let ended = chain.run(&arguments);
        chain.heal();
        if ended.took > LONGEST {
            wrong.push(format!("took {:?}", ended.took));
        }
        // Of several that fail, each has a process in which it is the first of them.
        let judged = if together { spoiled.len() } else { 1 };
        // Where nobody listens any more, the others are not come to.
        let failing = if fault == Fault::Refused { &spoiled[..judged.min(spoiled.len())] } else { spoiled };
        let wanted = if times.is_some() { 0 } else { worst(failing, fault) };
        for (link, before) in spoiled.iter().zip(before).take(judged) {
            let end = if ended.exit == 0 { "+".into() } else { ended.exit.to_string() };
            words.insert(link.name, format!("{end}·{}", chain.sent(link) - before));
            wrong.extend(judge(link, fault, wanted, &ended));
        }
        if spoiled.is_empty() || together {
            break ended;
        }
        at += 1;
        arguments = ended.go_on();
    };
    wrong.extend(left(&chain.stage.world, &chain, &paused, &last));
    for link in &LINKS {
        words.entry(link.name).or_insert_with(|| "?".into());
    }
    let wrong =
        wrong.into_iter().map(|what| format!("{}{}: {what}", fault.name(), if times.is_some() { " once" } else { "" }));
    Played { fault, words, wrong: wrong.collect() }
}

/// The exit of a process in which this change fails so; 0 where it finds the effect.
fn expected(link: &Link, fault: Fault) -> i64 {
    if fault.reaches() {
        return 0;
    }
    match (link.name, fault) {
        ("unpause", _) => 9,
        // What follows the deploy is left open.
        ("review", Fault::Unauthorized | Fault::Forbidden | Fault::NotFound | Fault::Refused) => 7,
        ("open", Fault::Unauthorized | Fault::Forbidden) => 7,
        (_, Fault::Unauthorized | Fault::Forbidden) => 4,
        // Nothing was changed yet, and that is known.
        ("publish", Fault::Refused | Fault::NotFound | Fault::Limited) => 3,
        _ => 1,
    }
}

/// The exit of a process in which all of these fail.
fn worst(links: &[Link], fault: Fault) -> i64 {
    let exits: Vec<i64> = links.iter().map(|link| expected(link, fault)).collect();
    [9, 1, 3, 4, 7].into_iter().find(|exit| exits.contains(exit)).unwrap_or(0)
}

fn judge(link: &Link, fault: Fault, wanted: i64, ended: &Ended) -> Vec<String> {
    let mut wrong = Vec::new();
    let shown = || format!("{} {}; next {:?}\n{}", ended.reason, ended.message, ended.next, ended.stderr);
    if ended.exit != wanted {
        wrong.push(format!("{}: exit {} instead of {wanted}: {}", link.name, ended.exit, shown()));
    }
    if !ended.stdout.lines().any(|line| line.contains(r#""event":"intent""#) && line.contains(link.intent)) {
        wrong.push(format!("{}: it was never tried: {}", link.name, shown()));
    }
    if ended.exit != 0 {
        // Where nobody listens, giving back fails at the look that comes first.
        let looked = fault == Fault::Refused && ended.message.contains("Airflow: GET /api/");
        let left_to_others = link.name == "review" && ended.message.contains("GitHub refused the approval of #");
        if !ended.message.contains(link.request) && !left_to_others && (link.name != "unpause" || !looked) {
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
