pub struct SlackWebhook;
