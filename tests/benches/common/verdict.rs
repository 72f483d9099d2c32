//! How every benchmark ends: its claims, each with whether it holds, and the exit code.

use std::process::ExitCode;

/// Prints each claim with whether it holds; 1 where one does not.
pub fn verdict(claims: &[(bool, String)]) -> ExitCode {
    println!();
    for (holds, claim) in claims {
        println!("{} {claim}", if *holds { "holds:        " } else { "DOES NOT HOLD:" });
    }
    if claims.iter().all(|(holds, _)| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
