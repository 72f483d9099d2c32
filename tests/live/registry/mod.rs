//! A real OCI registry behind a token challenge.
