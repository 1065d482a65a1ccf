//! Looks after the sessions in a store: lists, shows, ends and sweeps them.
//!
//! ```sh
//! cargo run --example sessions --features redb,redis -- redb:PATH list
//! ```
//!
//! `--help` names the rest. What it does is in `command.rs`.

mod command;

use std::io::ErrorKind;
use std::process::ExitCode;

use liquid_session::clock::SystemClock;

fn main() -> std::io::Result<ExitCode> {
    let arguments = std::env::args_os().skip(1);
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    match command::command(arguments, SystemClock, &mut out, &mut err) {
        // `… list | head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        status => status.map(ExitCode::from),
    }
}
