use catalog_deploy::adapters::Readers;

async fn publish(readers: &Readers) {
    let _ = readers.github.publish_release("WordPress/openverse", 1, "catalog-2024.08.22.20.53.01").await;
}

fn main() {}
