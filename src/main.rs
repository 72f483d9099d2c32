fn main() -> std::process::ExitCode {
    catalog_deploy::cli::run()
}
