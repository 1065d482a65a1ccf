//! The program `liquid-session`, as its users run it.
#![allow(clippy::unwrap_used)]

#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[path = "../support/redis_server.rs"]
mod redis_server;

mod check;
mod servers;
mod sessions;
mod test;

use std::process::Command;

struct Said {
    status: u8,
    out: String,
    err: String,
}

fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Said {
    run_with(("NO_COLOR", "1".to_owned()), arguments)
}

/// With a variable of the environment.
fn run_with<'a>(
    (name, value): (&str, String),
    arguments: impl IntoIterator<Item = &'a str>,
) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_liquid-session"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("REDIS_URL")
        .env_remove("POSTGRES_URL")
        .env(name, value)
        .output()
        .unwrap();
    Said {
        status: output.status.code().unwrap().try_into().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_program_explains_itself() {
    let help = run(["--help"]);
    assert_eq!((help.status, help.err.as_str()), (0, ""));
    for command in ["test", "check", "sessions"] {
        assert!(
            help.out.contains(&format!("\n  {command} ")),
            "{}",
            help.out
        );
        let of_command = run([command, "--help"]);
        assert_eq!(of_command.status, 0);
        assert!(
            of_command
                .out
                .contains(&format!("usage: liquid-session {command}"))
        );
        assert!(of_command.out.contains("exit status: 0"));
    }
    assert!(!help.out.contains('\u{1b}'), "no colours in a file");
    assert!(run(["--version"]).out.starts_with("liquid-session "));
    for wrong in [&[][..], &["tset"], &["--wrong"]] {
        let said = run(wrong.iter().copied());
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{wrong:?}");
    }
}

/// What the README and the page for authors show is what the program prints.
#[test]
fn the_output_in_the_documentation_is_real() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, folder) in [
        ("README.md", ""),
        ("docs/guide/authors.md", "fixtures/guide"),
    ] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let mut shown = 0;
        for block in text.split("```text\n$ liquid-session ").skip(1) {
            let (arguments, rest) = block.split_once('\n').unwrap();
            let (expected, _) = rest.split_once("```").unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_liquid-session"))
                .args(arguments.split(' '))
                .current_dir(root.join(folder))
                .output()
                .unwrap();
            let out = String::from_utf8(output.stdout).unwrap();
            assert_eq!(out, expected, "{page}: {arguments}");
            shown += 1;
        }
        assert_eq!(shown, 2, "{page}");
    }
}
