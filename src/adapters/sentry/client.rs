pub struct SentryClient;
