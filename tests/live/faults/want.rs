//! What a cell must come to.

use super::calls::{Kind, Row};
use super::fault::Fault;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// An error with this cause.
    Cause(&'static str),
    /// The answer that comes without the fault.
    Same,
    /// Some answer: what came cannot be told from one.
    Answer,
}

use Want::*;

/// What one route's fault must look like to whoever called the adapter.
pub fn want(row: &Row, fault: Fault) -> Want {
    exception(row.kind, fault).unwrap_or(match fault {
        Fault::Refused => Cause("Unreachable"),
        Fault::ResetBefore | Fault::ResetAfter | Fault::Half | Fault::SilentBefore | Fault::SilentAfter => {
            Cause("NoAnswer")
        }
        Fault::Unauthorized => Cause("Unauthorized"),
        Fault::Forbidden => Cause("Forbidden"),
        Fault::NotFound => Cause("NotFound"),
        Fault::Limited => Cause("RateLimited"),
        Fault::Broken | Fault::BadGateway => Cause("Broken"),
        Fault::LoginPage | Fault::WrongType | Fault::Huge | Fault::MissingFields | Fault::Null | Fault::NullFields => {
            Cause("Malformed")
        }
        Fault::UnknownFields => Same,
    })
}

fn exception(kind: Kind, fault: Fault) -> Option<Want> {
    match (kind, fault) {
        // All of it is behind the same port.
        (Kind::OtherApi, Fault::Refused) => None,
        // What the other API says decides nothing once this one has answered.
        (Kind::OtherApi, _) => Some(Same),
        // No body, so nothing in it can be wrong. What says "not found", or nothing of a digest, is asked for in full.
        (
            Kind::Head,
            Fault::NotFound
            | Fault::LoginPage
            | Fault::WrongType
            | Fault::Huge
            | Fault::MissingFields
            | Fault::Null
            | Fault::NullFields,
        ) => Some(Same),
        // Other bytes have another digest, whatever is new in them.
        (Kind::Manifest | Kind::Blob, Fault::UnknownFields) => Some(Cause("Malformed")),
        (Kind::Blob | Kind::Word, Fault::WrongType) => Some(Same),
        // Some registries say null for an empty list.
        (Kind::Tags, Fault::NullFields) => Some(Answer),
        _ => None,
    }
}
