use catalog_deploy::plan::approval::Consent;

fn forge() -> Consent {
    Consent { step: "apply".into() }
}

fn main() {}
