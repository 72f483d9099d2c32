//! Sentry and Slack, against their published descriptions.
