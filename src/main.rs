//! The `tandem` program.

fn main() {
    std::process::exit(tandem::cli::main());
}
