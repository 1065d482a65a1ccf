//! Plays scenario files: `cargo run --example scenario --features testing -- fixtures/scenarios`.

use std::process::ExitCode;

use liquid_session::testing::scenario;

fn main() -> std::io::Result<ExitCode> {
    let arguments = std::env::args_os().skip(1);
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    scenario::command(arguments, &mut out, &mut err).map(ExitCode::from)
}
