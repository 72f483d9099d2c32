//! What a person can get wrong before anything runs, and what they are told. Whole messages, paths replaced.

mod alone;
mod configuration;
mod credentials;
mod doctor;
mod flags;
