pub struct Loaded;
pub struct Problems;
pub fn load() {}
