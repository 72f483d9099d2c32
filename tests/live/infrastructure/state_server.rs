//! Terraform's http backend (<https://developer.hashicorp.com/terraform/language/backend/http>): state in a file, locks,
//! and a session that can end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::http::{Answer, Request, serve};

#[derive(Default)]
struct Session {
    lock: Option<Vec<u8>>,
    ends_at_apply: bool,
    ended: bool,
    applies: usize,
}

pub struct StateServer {
    pub url: String,
    pub file: PathBuf,
    session: Arc<Mutex<Session>>,
}

impl StateServer {
    pub fn start(file: &Path) -> Self {
        let session = Arc::new(Mutex::new(Session::default()));
        let (shared, state) = (session.clone(), file.to_owned());
        let url = serve(move |request| answer(&request, &mut shared.lock().unwrap(), &state));
        Self { url, file: file.to_owned(), session }
    }

    /// From the next apply's lock on, nothing but reading is accepted.
    pub fn end_session_at_apply(&self) {
        let mut session = self.session.lock().unwrap();
        session.ends_at_apply = true;
        session.applies = 0;
    }

    pub fn begin_session(&self) {
        let mut session = self.session.lock().unwrap();
        (session.ends_at_apply, session.ended) = (false, false);
    }

    /// Applies since the session's end was arranged.
    pub fn applies(&self) -> usize {
        self.session.lock().unwrap().applies
    }

    pub fn leave_lock(&self) {
        let info = r#"{"ID":"8a4f0c1e-0000-4000-8000-000000000000","Operation":"OperationTypeApply","Info":"","Who":"ana@laptop","Version":"1.11.4","Created":"2024-08-22T20:53:01Z","Path":""}"#;
        self.session.lock().unwrap().lock = Some(info.into());
    }

    pub fn lock_id(&self) -> Option<String> {
        id(self.session.lock().unwrap().lock.as_deref()?)
    }
}

fn id(info: &[u8]) -> Option<String> {
    Some(serde_json::from_slice::<Value>(info).ok()?["ID"].as_str()?.to_owned())
}

fn answer(request: &Request, session: &mut Session, file: &Path) -> Answer {
    match request.method.as_str() {
        "GET" => std::fs::read(file).map_or(Answer::status(404), |state| Answer::body(200, state)),
        "LOCK" => match &session.lock {
            Some(held) => Answer::body(423, held.clone()),
            None => {
                let info = serde_json::from_slice::<Value>(&request.body).unwrap();
                if info["Operation"] == "OperationTypeApply" {
                    session.applies += 1;
                    session.ended |= session.ends_at_apply;
                }
                session.lock = Some(request.body.clone());
                Answer::status(200)
            }
        },
        _ if session.ended => Answer::body(403, b"the session has expired".to_vec()),
        "UNLOCK" => {
            // A forced unlock sends only the id, as Terraform's own lock does not.
            session.lock = None;
            Answer::status(200)
        }
        "POST" => {
            let partial = file.with_extension("new");
            std::fs::write(&partial, &request.body).unwrap();
            std::fs::rename(partial, file).unwrap();
            Answer::status(200)
        }
        _ => Answer::status(405),
    }
}
