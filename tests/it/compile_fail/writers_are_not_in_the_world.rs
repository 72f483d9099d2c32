use std::sync::Arc;

use catalog_deploy::adapters::World;
use catalog_deploy::adapters::checkout::CheckoutWrite;

fn take(world: &World) -> Arc<dyn CheckoutWrite> {
    world.checkout.clone()
}

fn main() {}
