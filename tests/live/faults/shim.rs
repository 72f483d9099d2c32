//! The shim: forwards what it is sent, connection by connection, and spoils what it was told to spoil.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::fault::Fault;
use super::wire::Message;

const MEGABYTE: usize = 1024 * 1024;

/// A request that passed through, or did not.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// With its query.
    pub path: String,
    pub body: String,
    pub fault: Option<Fault>,
}

type Matches = Box<dyn Fn(&Seen) -> bool + Send>;
type Due = Box<dyn Fn(&[Seen]) -> bool + Send>;

/// What is to be spoilt, until it is healed.
struct Plan {
    matches: Matches,
    fault: Fault,
    /// How often; for ever where `None`.
    times: Option<usize>,
    /// For [`Fault::Refused`]: looked at with every request, whose answer is the last before nobody listens.
    due: Due,
}

#[derive(Default)]
struct State {
    plans: Vec<Plan>,
    seen: Vec<Seen>,
}

struct Shared {
    state: Mutex<State>,
    url: String,
    upstream: String,
    open: watch::Sender<bool>,
    /// Follows `open`: true while somebody listens.
    listening: watch::Sender<bool>,
}

impl Shared {
    /// Whoever serves holds a receiver.
    fn thread_ended(&self) -> bool {
        self.open.receiver_count() == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Stands before one service, on a thread of its own, until it is dropped.
pub struct Shim {
    pub url: String,
    shared: Arc<Shared>,
    _end: tokio::sync::oneshot::Sender<()>,
}

impl Shim {
    /// `upstream` is the service's origin, e.g. `http://127.0.0.1:4000`.
    pub fn start(upstream: &str) -> Self {
        let (ready, shared) = std::sync::mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let upstream = upstream.trim_start_matches("http://").to_owned();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = bind(0).unwrap().listen(1024).unwrap();
                let port = listener.local_addr().unwrap().port();
                let shared = Arc::new(Shared {
                    state: Mutex::default(),
                    url: format!("http://127.0.0.1:{port}"),
                    upstream,
                    open: watch::Sender::new(true),
                    listening: watch::Sender::new(true),
                });
                let open = shared.open.subscribe();
                ready.send(shared.clone()).unwrap();
                tokio::select! {
                    () = serve(listener, shared, open) => {}
                    _ = ended => {}
                }
            });
        });
        let shared: Arc<Shared> = shared.recv().unwrap();
        Self { url: shared.url.clone(), shared, _end: end }
    }

    /// Spoils the first `times` requests that match, or all.
    pub fn spoil(&self, fault: Fault, times: Option<usize>, matches: impl Fn(&Seen) -> bool + Send + 'static) {
        assert!(fault != Fault::Refused, "a refusal is for all routes alike: `refuse_once`");
        self.plan(Plan { matches: Box::new(matches), fault, times, due: Box::new(|_| false) });
    }

    /// Nobody listens any more once `due` is true of all requests so far: its last one is still answered. From now on
    /// where it is true of none. A request that `matches` and comes nevertheless fails the test.
    pub fn refuse_once(
        &self,
        due: impl Fn(&[Seen]) -> bool + Send + 'static,
        matches: impl Fn(&Seen) -> bool + Send + 'static,
    ) {
        let now = due(&[]);
        self.plan(Plan { matches: Box::new(matches), fault: Fault::Refused, times: None, due: Box::new(due) });
        if now {
            self.shared.open.send_replace(false);
            self.until_listening(false);
        }
    }

    fn plan(&self, plan: Plan) {
        self.shared.state().plans.push(plan);
    }

    /// As if nothing had ever been wrong.
    pub fn heal(&self) {
        self.shared.state().plans.clear();
        self.shared.open.send_replace(true);
        self.until_listening(true);
    }

    fn until_listening(&self, wanted: bool) {
        let listening = self.shared.listening.subscribe();
        // Its thread may have ended with a panic, which leaves the last word standing.
        assert!(!self.shared.thread_ended(), "the shim broke");
        crate::stage::until("the shim listens as it is told", || *listening.borrow() == wanted);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }
}

fn bind(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket)
}

async fn serve(mut listener: TcpListener, shared: Arc<Shared>, mut open: watch::Receiver<bool>) {
    let port = listener.local_addr().unwrap().port();
    loop {
        let accepted = tokio::select! {
            // First, so that nothing more is accepted once nobody is to listen.
            biased;
            _ = open.wait_for(|open| !open) => None,
            accepted = listener.accept() => Some(accepted.unwrap().0),
        };
        if let Some(stream) = accepted {
            tokio::spawn(carry(stream, shared.clone()));
            continue;
        }
        drop(listener);
        // Bound and not listening: the system refuses connections, and nobody else gets the port. Whoever got it in
        // between has it for one connection.
        let held = loop {
            match bind(port) {
                Ok(held) => break held,
                Err(error) if error.kind() == ErrorKind::AddrInUse => tokio::task::yield_now().await,
                Err(error) => panic!("port {port}: {error}"),
            }
        };
        shared.listening.send_replace(false);
        open.wait_for(|open| *open).await.unwrap();
        listener = held.listen(1024).unwrap();
        shared.listening.send_replace(true);
    }
}

/// One connection, one request.
async fn carry(mut stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Some(request) = Message::read(&mut stream).await else { return };
    let mut words = request.first.split(' ');
    let mut seen = Seen {
        method: words.next().unwrap().to_owned(),
        path: words.next().unwrap().to_owned(),
        body: String::from_utf8_lossy(&request.body).into_owned(),
        fault: None,
    };
    let closes = {
        let mut state = shared.state();
        if let Some(plan) = state.plans.iter_mut().find(|plan| plan.times != Some(0) && (plan.matches)(&seen)) {
            plan.times = plan.times.map(|times| times - 1);
            seen.fault = Some(plan.fault);
        }
        state.seen.push(seen.clone());
        let State { plans, seen } = &*state;
        plans.iter().any(|plan| plan.fault == Fault::Refused && (plan.due)(seen))
    };
    if closes {
        shared.open.send_replace(false);
        let mut listening = shared.listening.subscribe();
        let _closed = listening.wait_for(|listening| !listening).await;
    }
    let answer = match seen.fault {
        Some(fault) if !fault.reaches() => None,
        _ => forward(request, &shared).await,
    };
    // The client may hang up first; that is its affair.
    let _ = respond(&mut stream, &seen, answer).await;
    let _ = stream.shutdown().await;
}

/// Asks the service. Where it speaks of itself in a header, it means the shim.
async fn forward(mut request: Message, shared: &Shared) -> Option<Message> {
    request.set("connection", "close");
    let mut upstream = TcpStream::connect(&shared.upstream).await.ok()?;
    upstream.write_all(&request.bytes()).await.ok()?;
    let mut answer = Message::read(&mut upstream).await?;
    for (_, value) in &mut answer.headers {
        *value = value.replace(&format!("http://{}", shared.upstream), &shared.url);
    }
    answer.set("connection", "close");
    Some(answer)
}

async fn respond(stream: &mut TcpStream, seen: &Seen, answer: Option<Message>) -> std::io::Result<()> {
    let Some(fault) = seen.fault else {
        // The world loses an answer on purpose now and then; so does the shim then.
        let Some(answer) = answer else { return stream.set_zero_linger() };
        return stream.write_all(&answer.bytes()).await;
    };
    match fault {
        Fault::ResetBefore | Fault::ResetAfter | Fault::Refused => return stream.set_zero_linger(),
        Fault::SilentBefore | Fault::SilentAfter => {
            // Until the client has had enough.
            while stream.read(&mut [0; 64]).await? > 0 {}
            return Ok(());
        }
        _ => {}
    }
    let mut answer = match made_up(fault) {
        Some(answer) => answer,
        None => answer.ok_or(std::io::ErrorKind::ConnectionAborted)?,
    };
    answer.set("connection", "close");
    match fault {
        Fault::Half => {
            let whole = answer.bytes();
            // Half of the body; of an answer without one, half of its head.
            let end = if answer.body.len() > 1 { whole.len() - answer.body.len() / 2 } else { whole.len() / 2 };
            return stream.write_all(&whole[..end]).await;
        }
        Fault::WrongType => answer.set("content-type", "image/png"),
        Fault::Huge => {
            answer.set("content-length", &(50 * MEGABYTE).to_string());
            if seen.method != "HEAD" {
                answer.set("content-type", "application/json");
                answer.body.clear();
                stream.write_all(&answer.bytes()).await?;
                return huge(stream).await;
            }
        }
        Fault::UnknownFields | Fault::MissingFields | Fault::Null | Fault::NullFields => rewrite(&mut answer, fault),
        _ => {}
    }
    if seen.method == "HEAD" {
        answer.body.clear();
    }
    stream.write_all(&answer.bytes()).await
}

fn made_up(fault: Fault) -> Option<Message> {
    let words = json!({ "message": "made up", "detail": "made up" }).to_string();
    let page = b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>";
    let status = fault.status()?;
    Some(match fault {
        Fault::LoginPage | Fault::BadGateway => Message::made_up(status, "text/html; charset=utf-8", page),
        _ => {
            let mut answer = Message::made_up(status, "application/json", words.as_bytes());
            if fault == Fault::Limited {
                answer.set("retry-after", "1");
            }
            answer
        }
    })
}

/// A JSON object with one long string.
async fn huge(stream: &mut TcpStream) -> std::io::Result<()> {
    let (begin, end) = (br#"{"padding":""#, br#""}"#);
    stream.write_all(begin).await?;
    let padding = vec![b'a'; MEGABYTE];
    for _ in 0..49 {
        stream.write_all(&padding).await?;
    }
    stream.write_all(&padding[begin.len() + end.len()..]).await?;
    stream.write_all(end).await
}

fn rewrite(answer: &mut Message, fault: Fault) {
    let parsed = serde_json::from_slice::<Value>(&answer.body).ok();
    let changed = match (fault, parsed) {
        (Fault::Null, Some(_)) => Value::Null,
        (Fault::UnknownFields, Some(mut value)) => {
            enrich(&mut value);
            value
        }
        (Fault::MissingFields, Some(Value::Array(_))) => json!([{}]),
        (Fault::MissingFields, Some(_)) => json!({}),
        (_, Some(Value::Array(list))) => Value::Array(vec![list.first().map_or_else(|| json!({}), hollow)]),
        (_, Some(value)) => hollow(&value),
        // A word, or nothing at all: there are no fields in it, but something else may stand in its place.
        (_, None) if answer.body.is_empty() => return,
        (Fault::UnknownFields, None) => return,
        (Fault::Null, None) => Value::Null,
        (_, None) => json!({}),
    };
    answer.with_body(changed.to_string().into_bytes());
}

/// Adds a field to every object.
fn enrich(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(enrich);
            fields.insert("added_in_2030".into(), json!({ "is": ["new"] }));
        }
        Value::Array(items) => items.iter_mut().for_each(enrich),
        _ => {}
    }
}

/// The same fields, each null.
fn hollow(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, _)| (name.clone(), Value::Null)).collect::<Map<_, _>>())
}
