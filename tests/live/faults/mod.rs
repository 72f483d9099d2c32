//! Every route that the product uses times every fault that a network and a service have.
//!
//! A shim stands on TCP between the product and the embedded world's services and does to one route what it is told.
//! `matrix` plays every cell through the real adapters; `chain` plays what changes something through the binary, from the
//! fault to the resume after it, and counts what took effect; `growth` sees to it that no route is missing here.

mod calls;
mod chain;
mod fault;
mod growth;
mod matrix;
mod route;
mod services;
mod shim;
mod table;
mod want;
mod wire;
