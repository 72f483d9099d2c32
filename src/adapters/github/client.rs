pub struct GithubClient;
