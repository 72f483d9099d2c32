//! The product as a person at a terminal meets it: a real pseudo terminal around the real binary.

mod between;
mod gates;
mod moments;
mod offers;
pub mod person;
mod shadow;
mod stops;
mod streams;

use crate::support::slow::SlowApply;
use crate::support::{Stage, approved};
