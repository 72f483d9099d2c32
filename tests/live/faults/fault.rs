//! What can go wrong with one request.

/// One thing that goes wrong between a client and a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Nobody listens.
    Refused,
    /// Reset, and the service has not seen the request.
    ResetBefore,
    /// Reset, and the request took effect.
    ResetAfter,
    /// Half of the answer, then the end of the connection.
    Half,
    /// Silence, and the service has not seen the request.
    SilentBefore,
    /// Silence, and the request took effect.
    SilentAfter,
    Unauthorized,
    Forbidden,
    NotFound,
    /// 429 with `Retry-After: 1`.
    Limited,
    /// 500, and nothing took effect.
    Broken,
    /// A proxy's 502, and the request took effect.
    BadGateway,
    /// 200 and a login page, which the service never saw the request for.
    LoginPage,
    WrongType,
    /// 50 MB of JSON.
    Huge,
    UnknownFields,
    MissingFields,
    /// `null` instead of the answer.
    Null,
    /// `null` instead of every field.
    NullFields,
}

use Fault::*;

impl Fault {
    pub const ALL: [Fault; 19] = [
        Refused,
        ResetBefore,
        ResetAfter,
        Half,
        SilentBefore,
        SilentAfter,
        Unauthorized,
        Forbidden,
        NotFound,
        Limited,
        Broken,
        BadGateway,
        LoginPage,
        WrongType,
        Huge,
        UnknownFields,
        MissingFields,
        Null,
        NullFields,
    ];

    /// A column's heading.
    pub fn name(self) -> &'static str {
        match self {
            Refused => "refused",
            ResetBefore => "rst-bef",
            ResetAfter => "rst-aft",
            Half => "half",
            SilentBefore => "sil-bef",
            SilentAfter => "sil-aft",
            Unauthorized => "401",
            Forbidden => "403",
            NotFound => "404",
            Limited => "429",
            Broken => "500",
            BadGateway => "502-aft",
            LoginPage => "html",
            WrongType => "type",
            Huge => "50MB",
            UnknownFields => "unknown",
            MissingFields => "missing",
            Null => "null",
            NullFields => "nulls",
        }
    }

    /// Whether the service sees the request, so that a change takes effect.
    pub fn reaches(self) -> bool {
        !matches!(
            self,
            Refused | ResetBefore | SilentBefore | Unauthorized | Forbidden | NotFound | Limited | Broken | LoginPage
        )
    }

    /// The status of an answer that is made up; the service's own otherwise.
    pub fn status(self) -> Option<u16> {
        match self {
            Unauthorized => Some(401),
            Forbidden => Some(403),
            NotFound => Some(404),
            Limited => Some(429),
            Broken => Some(500),
            BadGateway => Some(502),
            LoginPage => Some(200),
            _ => None,
        }
    }
}
