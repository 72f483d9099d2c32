pub struct AirflowClient;
pub struct AirflowAuth;
