fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == catalog_deploy::adapters::process::RECORD_CHILD => {
            std::process::ExitCode::from(
                u8::try_from(catalog_deploy::adapters::process::record_child(rest)).unwrap_or(1),
            )
        }
        _ => std::process::ExitCode::SUCCESS,
    }
}
