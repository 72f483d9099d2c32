//! Sentry and Slack against what they publish about themselves.
//!
//! Neither can be run here. What can: their own clients (npm `@sentry/api`, generated from Sentry's OpenAPI description,
//! and `@slack/webhook`), which ask what we ask and read what the embedded world answers, and the types that come with
//! them, against which the TypeScript compiler holds our requests and the world's answers, field by field.

mod published;
mod recorder;
mod sentry;
mod slack;
