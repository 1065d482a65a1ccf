//! The scenario runner: its messages when a scenario fails, or can't be read.

use liquid_session::MemoryStore;
use liquid_session::testing::scenario::Scenario;

#[test]
fn every_kind_of_expectation_can_fail() {
    for (request, problem) in [
        ("{page: a, expect: b}", "-b\n    +a"),
        ("{page: a, expect: \"a\\n\\n\"}", "expect (-"),
        (
            "{page: '{{ nope }}'}",
            "unexpected error:\n    liquid: Unknown variable",
        ),
        (
            "{page: '{{ nope }}', expect: '', expect_error: nope}",
            "there is no output",
        ),
        (
            "{page: a, expect_error: limit}",
            "expected a failure with `limit`, found none",
        ),
        (
            "{page: '{{ nope }}', expect_error: limit}",
            "-limit\n    +liquid: Unknown variable",
        ),
        (
            "{page: secret, expect_not: secret}",
            "`secret` is in the output",
        ),
        (
            "{page: '{{ secret }}', expect_error: Unknown, expect_not: secret}",
            "`secret` is in the error",
        ),
        (
            "{page: '{% session a = 1 %}', expect_session: {}}",
            "+  \"a\": 1",
        ),
        (
            "{page: '{% session a = 1 %}', expect_session: {a: 1.0}}",
            "-  \"a\": 1.0\n    +  \"a\": 1",
        ),
        (
            "{page: '{% session a = 1 %}', expect_session: {a: '1'}}",
            "-  \"a\": \"1\"",
        ),
        (
            "{page: a, expect_loads: 1}",
            "expect_loads: expected 1, found 0",
        ),
        (
            "{page: a, expect_writes: 1}",
            "expect_writes: expected 1, found 0",
        ),
        (
            "{page: a, expect_cookie: set}",
            "expect_cookie: expected set, found none",
        ),
        (
            "{page: a, expect_cookie: removed}",
            "expect_cookie: expected removed, found none",
        ),
        (
            "{page: '{% session a = 1 %}', expect_cookie: none}",
            "expect_cookie: expected none, found set",
        ),
    ] {
        let scenario =
            Scenario::from_yaml(&format!("{{about: x, requests: [{request}]}}")).unwrap();
        let report = scenario.run(MemoryStore::new()).unwrap();
        assert_eq!(report.failed(), 1, "{request}");
        assert!(report.to_string().contains(problem), "{request}: {report}");
    }
}

#[test]
fn one_final_newline_means_nothing() {
    let yaml = "about: x\nrequests:\n  - page: |\n      a\n    expect: a\n  - page: a\n    expect: |\n      a\n";
    let report = Scenario::from_yaml(yaml).unwrap().run(MemoryStore::new());
    assert_eq!(report.unwrap().passed(), 2);
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    for (yaml, problem) in [
        ("requests:\n  - page: a\n", "missing field `about`"),
        ("about: a\nrequests: []\n", "one request or more"),
        (
            "about: a\nrequests:\n  - layout: b\n",
            "a request needs its template",
        ),
        (
            "about: a\nrequests:\n  - {page: b, file: c}\n",
            "found both",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    layout: c\n",
            "unknown layout `c`",
        ),
        (
            "about: a\nrequests:\n  - file: none.liquid\n",
            "the page `none.liquid` can't be read",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    expect:\n",
            "found none: write \"\"",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    wait: 5 minutes\n",
            "found `5 minutes`",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    wait: 5\n",
            "found `5`",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    https: no\n",
            "boolean",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    expect_cookie: sent\n",
            "unknown variant `sent`, expected one of set, removed, none",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    expect_loads: -1\n",
            "u64",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    page: c\n",
            "duplicate",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    globals: [c]\n",
            "map",
        ),
        (
            "about: a\nsessions: {timeout_minute: 5}\nrequests:\n  - page: b\n",
            "did you mean `timeout_minutes`?",
        ),
        (
            "about: a\nsessions: {timeout_minutes: 0}\nrequests:\n  - page: b\n",
            "must be 1 or more",
        ),
        (
            "about: a\nrequests:\n  - page: {{ b }}\n",
            "a template needs quotes around it, or lines of its own after `|` at line 3, column 11",
        ),
        (
            "about: a\nrequests:\n  - page: {% session b = 1 %}\n",
            "a template needs quotes around it",
        ),
        (
            "about: a\npartial: {}\nrequests:\n  - page: b\n",
            "unknown field `partial`",
        ),
    ] {
        let error = Scenario::from_yaml(yaml).unwrap_err().to_string();
        assert!(error.contains(" at line "), "{yaml}{error}");
        assert!(error.contains(problem), "{yaml}{error}");
    }
}

#[test]
fn plain_scalars_follow_the_core_schema_of_yaml_1_2() {
    let yaml = "about: x\nrequests:\n  - page: \"{{ v | json }}\"\n    globals: {v: [no, on, y, True, 1_000, 2026-01-02, 12:30:00, ~, 0x1f, 1.0]}\n    expect: '[\"no\",\"on\",\"y\",true,\"1_000\",\"2026-01-02\",\"12:30:00\",null,31,1.0]'\n";
    let report = Scenario::from_yaml(yaml)
        .unwrap()
        .run(MemoryStore::new())
        .unwrap();
    assert_eq!(report.failed(), 0, "{report}");
}

#[test]
fn the_example_of_the_documentation_comes_as_expected() {
    let source = include_str!("../../src/testing/scenario.rs");
    let lines = source.lines().skip_while(|line| *line != "//! ```yaml");
    let yaml: String = lines
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| format!("{}\n", line.strip_prefix("//! ").unwrap()))
        .collect();
    let report = Scenario::from_yaml(&yaml)
        .unwrap()
        .run(MemoryStore::new())
        .unwrap();
    assert_eq!((report.passed(), report.failed()), (2, 0), "{report}");
}

/// In a store that is full, a page renders and its commit fails.
#[test]
fn a_commit_that_fails_is_the_request_s_error() {
    let yaml = "
about: there is room for one session
requests:
  - {browser: first, page: '{% session a = 1 %}', expect_cookie: set}
  - browser: second
    page: '{% session a = 2 %}rendered'
    expect_error: the session store is full
    expect_session: {}
    expect_writes: 0
    expect_cookie: none
  - browser: third
    cookie: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    logout: true
    page: '{% session a = 3 %}'
    expect_error: the session store is full
    expect_cookie: removed
";
    let report = Scenario::from_yaml(yaml)
        .unwrap()
        .run(MemoryStore::with_capacity(1))
        .unwrap();
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.requests()[1].output, None, "nobody gets to see it");
}
