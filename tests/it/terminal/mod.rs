//! The product as a person at a terminal meets it: a real pseudo terminal around the real binary.

mod gates;
mod offers;
pub mod person;
mod secrets;
mod shadow;
mod stops;
mod streams;
