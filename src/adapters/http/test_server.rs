//! A server on loopback that answers by a script, misbehaves on demand and remembers every request: for the adapters'
//! unit tests. One connection carries one request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Patience;

/// One request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    /// All values of a header, joined by `|`; empty where it was not sent.
    pub fn header(&self, name: &str) -> String {
        let values: Vec<&str> =
            self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect();
        values.join("|")
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// The connection is reset after the request was read.
    Reset,
    /// Half of the promised body, then the end.
    Half,
    /// Nothing, for ever.
    Silence,
    /// 200 and fifty megabytes of JSON, of which no header said how many they would be.
    Huge,
}

impl Reply {
    pub fn json(body: &str) -> Self {
        Self::status(200, body)
    }
    pub fn status(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
            .with("content-type", "application/json")
    }
    pub fn html(status: u16) -> Self {
        let body = b"<html><title>Sign in</title></html>".to_vec();
        Self::Answer { status, headers: Vec::new(), body }.with("content-type", "text/html")
    }
    /// With this header, instead of another of that name.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.retain(|(key, _)| key != name);
            headers.push((name.into(), value.into()));
        }
        self
    }
}

pub(crate) struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// `script` is called with each request and its number, from 0.
    pub async fn start(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (seen.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, log.clone(), script.clone()));
            }
        });
        Self { url, seen }
    }

    /// A server that gives every request the same reply.
    pub async fn always(reply: Reply) -> Self {
        Self::start(move |_, _| reply.clone()).await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD /path?query` of each request in order.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }
}

/// An address that nobody listens at.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Short enough for tests, long enough for 16 MiB on a busy machine: two seconds for an answer, two tries, no pause worth
/// naming.
pub(crate) fn impatient() -> Patience {
    Patience {
        connect: Duration::from_secs(2),
        answer: Duration::from_secs(2),
        tries: 2,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(5),
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Seen>>>, script: Arc<impl Fn(&Seen, usize) -> Reply>) {
    let Some(seen) = receive(&mut stream).await else { return };
    let reply = {
        let mut log = log.lock().unwrap();
        log.push(seen.clone());
        script(&seen, log.len() - 1)
    };
    let promise = |length: usize| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    // The other side may hang up first; that is its affair.
    match reply {
        Reply::Reset => stream.set_zero_linger().unwrap(),
        Reply::Silence => std::future::pending().await,
        Reply::Half => {
            let _ = stream.write_all(promise(1000).as_bytes()).await;
            let _ = stream.write_all(b"[{\"id\":").await;
        }
        Reply::Huge => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            for _ in 0..50 {
                if stream.write_all(&vec![b' '; 1024 * 1024]).await.is_err() {
                    return;
                }
            }
        }
        Reply::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
            if status != 304 && !headers.iter().any(|(name, _)| name == "content-length") {
                head.push_str(&format!("content-length: {}\r\n", body.len()));
            }
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            if seen.method != "HEAD" && status != 304 {
                let _ = stream.write_all(&body).await;
            }
        }
    }
    let _ = stream.shutdown().await;
}

async fn receive(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let mut seen =
        Seen { method: first.next()?.into(), path: first.next()?.into(), headers: Vec::new(), body: String::new() };
    seen.headers = lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.into(), v.into())).collect();
    let length = seen.header("content-length").parse::<usize>().unwrap_or(0);
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = String::from_utf8(bytes[end + 4..end + 4 + length].to_vec()).ok()?;
    Some(seen)
}
