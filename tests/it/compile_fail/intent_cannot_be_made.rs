use catalog_deploy::journal::DurableIntent;

fn forge() -> DurableIntent {
    DurableIntent { step: "apply".into(), effect: "apply/1".into() }
}

fn main() {}
