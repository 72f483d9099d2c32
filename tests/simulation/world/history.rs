//! What was done in the world, by whom, and how things stood at that moment.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Our run, in the process of this number.
    Run(u32),
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Published {
        git_tag: String,
    },
    Approved {
        number: u64,
    },
    Pushed {
        branch: String,
        only_the_version: bool,
        flag: String,
    },
    PullOpened {
        branch: String,
    },
    Paused {
        dag: String,
        paused: bool,
        was: bool,
    },
    Lock {
        from: Option<String>,
        to: Option<String>,
    },
    /// Literals in the checkout's file, before and after; `elsewhere`: any other byte changed.
    File {
        version: (String, String),
        flag: (String, String),
        elsewhere: bool,
    },
    ApplyStarted {
        child: usize,
        tag: String,
    },
    ApplyEnded {
        child: usize,
        complete: bool,
        touched: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// Milliseconds of the world's time.
    pub at: i64,
    pub actor: Actor,
    pub change: Change,
    /// Steps with a durable intent that has no durable outcome.
    pub intents: Vec<String>,
    /// Whose the lock was right before.
    pub holder: Option<String>,
    /// For how many milliseconds already.
    pub held_for: i64,
    /// How many milliseconds ago the request was begun: nobody can look at the lock in between.
    pub on_its_way: i64,
    /// How long the laptop was asleep in the last minute, in milliseconds: between its last look and this, perhaps.
    pub slept: i64,
    /// The flag's literal right before.
    pub flag: String,
    /// An apply was at work.
    pub applying: bool,
    /// DAGs with a task at work, which an apply would kill, and since when.
    pub busy: Vec<(String, i64)>,
}
