//! `liquid-session test`: what it prints, and its exit status.

use std::path::PathBuf;

/// A folder of its own for a test, gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scenario-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Exit status, standard output, standard error; with `DIR` for the folder.
    fn run(&self, options: &[&str]) -> (u8, String, String) {
        let folder = self.0.to_str().unwrap();
        let arguments = options.iter().copied().chain([folder]);
        let (status, out, err) = run(arguments);
        (
            status,
            out.replace(folder, "DIR"),
            err.replace(folder, "DIR"),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> (u8, String, String) {
    let said = crate::run(["test"].into_iter().chain(arguments));
    (said.status, said.out, said.err)
}

const GOOD: &str = "about: counts\nrequests:\n  - page: \"{% session n = 1 %}one\"\n    expect: one\n  - page: \"{{ context.session.n }}\"\n    expect: \"1\"\n";

#[test]
fn one_line_per_request_and_a_summary() {
    let folder = Folder::new("good")
        .with("b.yml", GOOD)
        .with("a/deep/c.yaml", GOOD)
        .with("notes.txt", "no scenario");
    let (status, out, err) = folder.run(&[]);
    assert_eq!(
        out,
        "ok DIR/a/deep/c.yaml #1\nok DIR/a/deep/c.yaml #2\nok DIR/b.yml #1\nok DIR/b.yml #2\n4 passed, 0 failed\n"
    );
    assert_eq!((status, err.as_str()), (0, ""));
}

#[test]
fn a_broken_expectation_is_status_1_with_a_diff() {
    let broken = "about: lists\nrequests:\n  - page: \"a\\nb\\nc\\n\"\n    expect: \"a\\nB\\nc\"\n  - page: x\n";
    let (status, out, _) = Folder::new("broken").with("a.yml", broken).run(&[]);
    assert_eq!(
        out,
        "FAILED DIR/a.yml:3 #1: lists\n    expect (- expected, + found):\n     a\n    -B\n    +b\n     c\n    output:\n      |a\n      |b\n      |c\n    session: {}\nok DIR/a.yml #2\n1 passed, 1 failed\n"
    );
    assert_eq!(status, 1);
}

#[test]
fn json_is_one_object_per_request() {
    let (status, out, err) = Folder::new("json").with("a.yml", GOOD).run(&["--json"]);
    assert_eq!(
        out,
        "{\"file\":\"DIR/a.yml\",\"index\":1,\"line\":3,\"output\":\"one\",\"error\":null,\"session\":{\"n\":1},\"loads\":0,\"writes\":1,\"cookie\":\"set\",\"passed\":true}\n\
         {\"file\":\"DIR/a.yml\",\"index\":2,\"line\":5,\"output\":\"1\",\"error\":null,\"session\":{\"n\":1},\"loads\":1,\"writes\":0,\"cookie\":\"none\",\"passed\":true}\n"
    );
    assert_eq!((status, err.as_str()), (0, "2 passed, 0 failed\n"));
}

#[test]
fn what_can_t_be_read_is_status_2_and_the_others_are_played() {
    let unknown = "about: a typo\nrequests:\n  - page: a\n    expct: a\n";
    let folder = Folder::new("unreadable")
        .with("a.yml", GOOD)
        .with("b.yml", unknown)
        .with("c.yml", "about: [\n");
    let (status, out, err) = folder.run(&[]);
    assert_eq!(status, 2);
    assert_eq!(
        out,
        "ok DIR/a.yml #1\nok DIR/a.yml #2\n2 passed, 0 failed\n"
    );
    let lines: Vec<_> = err.lines().collect();
    assert_eq!(lines.len(), 2, "{err}");
    assert!(
        lines[0].starts_with("DIR/b.yml: unknown key `expct` (did you mean `expect`?)"),
        "{err}"
    );
    assert!(lines[0].ends_with("at line 4, column 5"), "{err}");
    assert!(lines[1].starts_with("DIR/c.yml: "), "{err}");
}

#[test]
fn no_file_is_status_2() {
    let empty = Folder::new("empty").with("notes.txt", "no scenario");
    let (status, out, err) = empty.run(&[]);
    assert_eq!(
        (status, out.as_str(), err.as_str()),
        (
            2,
            "",
            "DIR: expected scenarios (*.yml, *.yaml), found none\n"
        )
    );
    // Also beside a folder that has some.
    let good = Folder::new("beside").with("a.yml", GOOD);
    assert_eq!(good.run(&[empty.0.to_str().unwrap()]).0, 2);
    assert_eq!(good.run(&[empty.0.join("none.yml").to_str().unwrap()]).0, 2);
}

#[test]
fn wrong_commands_are_status_2() {
    for (arguments, problem) in [
        (&[][..], "expected files or folders"),
        (
            &["--store", "paper", "x"][..],
            "there is no store `paper`, expected one of memory, postgres, redb, redis",
        ),
        (
            &["x", "--store"][..],
            "missing argument for option '--store'",
        ),
        (&["--jsn", "x"][..], "invalid option '--jsn'"),
    ] {
        let (status, out, err) = run(arguments.iter().copied());
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(problem), "{arguments:?}: {err}");
    }
    let (status, out, _) = run(["--help"]);
    assert_eq!(status, 0);
    assert!(out.contains("usage: liquid-session test"), "{out}");
}

#[test]
fn a_scenario_plays_on_every_store_that_needs_no_server() {
    for store in ["memory", "redb"] {
        let (status, out, err) = Folder::new(store)
            .with("a.yml", GOOD)
            .run(&["--store", store]);
        assert_eq!((status, err.as_str()), (0, ""), "{out}");
        assert!(out.ends_with("2 passed, 0 failed\n"), "{out}");
    }
}
