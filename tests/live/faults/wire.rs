//! HTTP/1.1 as bytes: one request or one answer a connection.

use tokio::io::{AsyncRead, AsyncReadExt};

/// A request or an answer.
#[derive(Debug, Clone)]
pub struct Message {
    /// `GET /path HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub first: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// An answer that no service gave.
    pub fn made_up(status: u16, kind: &str, body: &[u8]) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        let mut message = Self { first: format!("HTTP/1.1 {status} Made Up"), headers, body: body.to_vec() };
        message.set("content-length", &body.len().to_string());
        message
    }

    /// Reads up to the end of the body that `content-length` promises.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
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
        let first = lines.next()?.to_owned();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let mut message = Self { first, headers, body: bytes[end + 4..].to_vec() };
        assert!(message.header("transfer-encoding").is_none(), "nobody here sends in chunks");
        let length = message.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        // The answer to a HEAD promises a body that never comes: the other side closes.
        while message.body.len() < length {
            if stream.read_buf(&mut message.body).await.ok()? == 0 {
                break;
            }
        }
        Some(message)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(key, _)| key != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Another body, promised as it is.
    pub fn with_body(&mut self, body: Vec<u8>) {
        self.set("content-length", &body.len().to_string());
        self.body = body;
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
