use catalog_deploy::engine::preview::Preview;

fn apply(preview: &Preview<'_>) {
    let _ = preview.readers.checkout.tree();
    let _ = preview.readers.commands.run_attached(&Default::default());
}

fn main() {}
