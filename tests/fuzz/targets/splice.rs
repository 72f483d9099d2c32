//! One literal of an HCL file is replaced, and nothing else.

#![no_main]

use catalog_deploy::adapters::checkout::{find_attribute, replace_attribute};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let module = ["module".to_owned(), "catalog-airflow".to_owned()];
    for (block, attribute, literal) in [
        (&module[..], "docker_image_tag", "\"rel-2024.08.22.20.53.01\""),
        (&module[..], "running_dags_cleared", "true"),
        (&module[..0], "docker_image_tag", "\"rel-2024.08.22.20.53.01\""),
    ] {
        let Ok(before) = find_attribute(input, "x.tf", block, attribute) else { continue };
        let Ok(after) = replace_attribute(input, "x.tf", block, attribute, literal) else { continue };
        let found = find_attribute(&after, "x.tf", block, attribute).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.literal, literal);
        assert_eq!(found.line, before.line);
        // Only these bytes: what stands before and after is what it was.
        assert_eq!(after.len() + before.literal.len(), input.len() + literal.len());
        let back = replace_attribute(&after, "x.tf", block, attribute, &before.literal);
        assert_eq!(back.unwrap_or_else(|error| panic!("{error}")), input, "it cannot be put back");
    }
});
