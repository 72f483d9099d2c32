//! What the compiler proves: a preview cannot reach a writer, and neither approval nor intent can be forged.

#[test]
fn writing_needs_proof() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/it/compile_fail/*.rs");
}
