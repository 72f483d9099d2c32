pub struct RegistryClient;
