//! The engine over small steps that play their part: what is given back and in which order, what a stop ends, what
//! becomes of doubts, panics and a journal that cannot be written.

mod doubt;
mod fakes;
mod gate;
mod give_back;
mod stage;
mod stop;
