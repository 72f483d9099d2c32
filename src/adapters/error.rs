//! What can go wrong at a service, in the few kinds that decide what to do next.

use std::time::Duration;

/// A failed request: which service, which request, why. Never holds a secret: `request` is method and path only.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{service}: {request}: {cause}")]
pub struct ServiceError {
    /// e.g. `GitHub`, `Airflow`, `registry ghcr.io`, `git`, `terraform`
    pub service: String,
    /// e.g. `GET /repos/WordPress/openverse/releases`, or a command line without its secrets
    pub request: String,
    pub cause: Cause,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    /// No connection was made, so nothing took effect.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke or the answer did not come in time: the request may have taken effect.
    #[error("no complete answer: {0}")]
    NoAnswer(String),
    #[error("the credentials were not accepted (401): {0}")]
    Unauthorized(String),
    /// There are none, or they could not be read. Nothing was sent.
    #[error("{0}")]
    NoCredentials(String),
    /// 403 that is a refusal, not a limit.
    #[error("not allowed (403): {0}")]
    Forbidden(String),
    /// 404, which GitHub also says for "not allowed to see".
    #[error("not found (404), or not visible to these credentials: {0}")]
    NotFound(String),
    #[error("rate limited; asks to wait {}", humantime::format_duration(*.retry_after))]
    RateLimited { retry_after: Duration },
    /// Any other 4xx: surely no effect.
    #[error("refused ({status}): {message}")]
    Rejected { status: u16, message: String },
    /// 5xx: may have taken effect.
    #[error("broken ({status}): {message}")]
    Broken { status: u16, message: String },
    /// Not what the service answers: a login page, a wrong content type, a missing field.
    #[error("not the answer this service gives: {0}")]
    Malformed(String),
    /// A local command failed: for a change, it may have taken effect.
    #[error("{0}")]
    Failed(String),
    /// Refused on this side, before anything was changed or sent.
    #[error("{0}")]
    Refused(String),
}

impl ServiceError {
    pub fn new(service: impl Into<String>, request: impl Into<String>, cause: Cause) -> Self {
        Self { service: service.into(), request: request.into(), cause }
    }

    /// For a mutating request: it surely took no effect.
    pub fn surely_refused(&self) -> bool {
        matches!(
            self.cause,
            Cause::Unreachable(_)
                | Cause::Unauthorized(_)
                | Cause::NoCredentials(_)
                | Cause::Forbidden(_)
                | Cause::NotFound(_)
                | Cause::RateLimited { .. }
                | Cause::Rejected { .. }
                | Cause::Refused(_)
        )
    }

    /// For a read: worth asking again within the same wait.
    pub fn passing(&self) -> bool {
        matches!(
            self.cause,
            Cause::Unreachable(_) | Cause::NoAnswer(_) | Cause::RateLimited { .. } | Cause::Broken { .. }
        )
    }

    /// How long to wait before asking again: `usual`, or as long as the service itself wants.
    pub fn pause(&self, usual: Duration) -> Duration {
        match self.cause {
            Cause::RateLimited { retry_after } => usual.max(retry_after),
            _ => usual,
        }
    }

    /// Credentials are missing, expired or too weak (exit 4).
    pub fn credentials(&self) -> bool {
        matches!(self.cause, Cause::Unauthorized(_) | Cause::NoCredentials(_) | Cause::Forbidden(_))
    }

    pub fn not_found(&self) -> bool {
        matches!(self.cause, Cause::NotFound(_))
    }
}
