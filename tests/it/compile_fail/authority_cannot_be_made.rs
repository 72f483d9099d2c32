use catalog_deploy::adapters::{World, Writers};
use catalog_deploy::plan::approval::Authority;

fn forge(world: &World) -> Writers {
    world.writers(&Authority { effect: "publish/1".into() })
}

fn main() {}
