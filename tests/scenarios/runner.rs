//! The scenario runner: its messages when a scenario fails, or can't be read.

use liquid_session::MemoryStore;
use liquid_session::testing::scenario::{Report, Scenario};

/// A folder of its own for a test, gone when the test is.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// The report of a scenario, or why it can't be read.
    fn play(&self, name: &str) -> Result<Report, String> {
        let scenario = Scenario::from_file(self.0.path().join(name));
        let scenario = scenario.map_err(|error| error.to_string())?;
        Ok(scenario.run(MemoryStore::new()).unwrap())
    }
}

fn play(yaml: &str) -> Report {
    let scenario = Scenario::from_yaml(yaml).unwrap();
    scenario.run(MemoryStore::new()).unwrap()
}

#[test]
fn every_kind_of_expectation_can_fail() {
    let folder = Folder::new().with("views/pages/index.liquid", "home").with(
        "views/pages/go.liquid",
        "---\nmethod: post\nredirect_to: /here\n---\n",
    );
    let site = folder.0.path().to_str().unwrap();
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
            "{visit: /go, method: post, expect_redirect: /there}",
            "expect_redirect: expected /there, found /here",
        ),
        (
            "{visit: /, expect_redirect: /there}",
            "expect_redirect: expected /there, found none",
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
        // Only requests that visit read the folder.
        let views = request.contains("visit");
        let views = if views {
            format!("views: {site}, ")
        } else {
            String::new()
        };
        let scenario = format!("{{about: x, {views}requests: [{request}]}}");
        let scenario = Scenario::from_yaml(&scenario).unwrap();
        let report = scenario.run(MemoryStore::new()).unwrap();
        assert_eq!(report.failed(), 1, "{request}");
        assert!(report.to_string().contains(problem), "{request}: {report}");
    }
}

#[test]
fn a_failure_shows_what_came() {
    for (request, shown) in [
        (
            "{page: '', expect: a}",
            "    -a\n    output: \"\"\n    session: {}\n",
        ),
        (
            "{page: \"{% session a = 'b' %}c\", expect_loads: 1}",
            "found 0\n    output: \"c\"\n    session: {\"a\":\"b\"}\n",
        ),
        (
            "{page: \"{% for i in (1..20) %}\\n{{ i }}{% endfor %}\", expect_loads: 1}",
            "\n      |11\n      … 9 more lines\n    session: {}\n",
        ),
    ] {
        let yaml = format!("about: x\nrequests:\n  - page: ok\n\n  - {request}\n");
        let scenario = Scenario::from_yaml(&yaml).unwrap();
        let report = scenario.run(MemoryStore::new()).unwrap();
        assert_eq!(report.requests()[1].line, 5);
        let report = report.to_string();
        assert!(report.contains("\nFAILED -:5 #2: x\n"), "{report}");
        assert!(report.ends_with(shown), "{report}");
    }
}

#[test]
fn an_error_that_several_requests_meet_is_told_once() {
    let yaml = "about: x\npartials: {a: '{% nope %}'}\nrequests:\n  - page: \"{% include 'a' %}\"\n  - page: \"{% include 'a' %}\"\n    expect: b\n  - page: '{{ other }}'\n";
    let report = play(yaml);
    assert_eq!(report.failed(), 3);
    let report = report.to_string();
    assert_eq!(report.matches("Unknown tag").count(), 1, "{report}");
    assert!(
        report.contains("    unexpected error: that of #1\n    expect: the request failed"),
        "{report}"
    );
    assert!(report.contains("requested variable=other"), "{report}");
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
            "about: a\nviews: no/such/folder\nrequests:\n  - page: b\n",
            "no/such/folder: ",
        ),
        (
            "about: a\nviews: .\npartials: {a: b}\nrequests:\n  - page: b\n",
            "`partials` are those of the `views`, found both",
        ),
        (
            "about: a\nrequests:\n  - visit: /\n",
            "`visit` needs the scenario's `views`, found none",
        ),
        (
            "about: a\nrequests:\n  - {visit: /, page: b}\n",
            "found both `page` and `visit`",
        ),
        (
            "about: a\nrequests:\n  - {visit: /, layout: b}\n",
            "`layout` has no effect on a `visit`",
        ),
        (
            "about: a\nrequests:\n  - {page: b, method: post}\n",
            "`method` belongs to a `visit`, found it beside a template",
        ),
        (
            "about: a\nrequests:\n  - {page: b, params: {c: d}, globals: {context: e}}\n",
            "`params` need an object as the `context` of `globals`",
        ),
        (
            "about: a\nrequests:\n  - parallel: [{page: b}]\n",
            "`parallel` has two requests, found 1",
        ),
        (
            "about: a\nrequests:\n  - parallel: [{page: b}, {page: c}]\n    layout: d\n",
            "`layout` belongs to one of the two requests, found it beside `parallel`",
        ),
        (
            "about: a\nrequests:\n  - parallel: [{page: b}, {page: c, wait: 1s}]\n",
            "`wait` belongs beside `parallel`, found it in one of the two requests",
        ),
        (
            "about: a\nrequests:\n  - parallel: [{page: b}, {page: c, expect_loads: 1}]\n",
            "a request of `parallel` can't have `expect_loads`",
        ),
        (
            "about: a\nrequests:\n  - parallel: [{page: b}, {page: c, parallel: []}]\n",
            "a request of `parallel` can't have `parallel`",
        ),
        (
            "about: a\nrequests:\n  - page: b\n    transaction: true\n",
            "`transaction` belongs beside `parallel`, found a single request",
        ),
        (
            "about: a\npartial: {}\nrequests:\n  - page: b\n",
            "unknown key `partial` (did you mean `partials`?)",
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

/// The first fenced block of a kind, after a heading.
fn block<'t>(text: &'t str, heading: &str, kind: &str) -> &'t str {
    let (_, text) = text.split_once(heading).unwrap();
    let (_, text) = text.split_once(&format!("```{kind}\n")).unwrap();
    text.split_once("```").unwrap().0
}

#[test]
fn the_visit_of_the_guide_passes_in_the_shop() {
    let guide = include_str!("../../docs/guide/testing.md");
    let scenario = block(guide, "# Pages of a site", "yaml");
    let site = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/site");
    let scenario = scenario.replace("../site", site);
    let report = play(&scenario);
    assert_eq!((report.passed(), report.failed()), (2, 0), "{report}");
}

#[test]
fn the_lost_update_of_the_guide_is_found_as_the_guide_shows_it() {
    let guide = include_str!("../../docs/guide/testing.md");
    let heading = "# Two requests at the same time";
    let scenario = block(guide, heading, "yaml");
    let shown = block(guide, heading, "text").replace("visits.yml", "-");
    assert_eq!(play(scenario).to_string(), shown);

    let mended = scenario.replace(
        "    expect_session",
        "    transaction: true\n    expect_session",
    );
    assert_eq!(play(&mended).to_string(), "ok - #1\nok - #2 in 20 orders\n");
}

const COUNT: &str = "page: '{% session n = context.session.n | plus: 1 %}{{ context.session.n }}'";

/// Whichever commits first counts to 1. The other one begins again, and the report says so.
#[test]
fn a_conflict_is_a_step_of_the_order() {
    let report = play(&format!(
        "about: the first request is the first\nrequests:\n  - page: '{{% session n = 0 %}}'\n  - parallel:\n      - {COUNT}\n        expect: '1'\n      - {COUNT}\n    transaction: true\n"
    ));
    assert_eq!(
        report.to_string(),
        "ok - #1
FAILED -:4 #2: the first request is the first
    10 of 20 orders fail, for example:
      1 reads    {\"n\":0}
      1 renders  \"1\"
      2 reads    {\"n\":0}
      2 renders  \"1\"
      2 commits  {\"n\":1}
      1 commits  nothing: the other request has changed what it had read, so it begins again
      1 reads    {\"n\":1}
      1 renders  \"2\"
      1 commits  {\"n\":2}
    request 1: expect (- expected, + found):
    -1
    +2
"
    );
}

/// A second copy would count on from the first one's number, or of nothing.
#[test]
fn each_order_is_played_on_a_copy_of_what_came_before() {
    let count = format!(
        "{{parallel: [{{{COUNT}}}, {{{COUNT}}}], transaction: true, expect_session: {{n: SUM}}}}"
    );
    let (one, other) = (count.replace("SUM", "2"), count.replace("SUM", "4"));
    let yaml = format!(
        "{{about: x, requests: [{{page: '{{% session n = 0 %}}'}}, {one}, {{wait: 1h, page: '{{{{ context.session.n }}}}', expect: '2'}}, {other}]}}"
    );
    let report = play(&yaml);
    assert_eq!(report.failed(), 0, "{report}");
    let played = |at: usize| {
        report.requests()[at]
            .parallel
            .as_ref()
            .map(|orders| orders.played)
    };
    assert_eq!(
        [played(1), played(2), played(3)],
        [Some(20), None, Some(20)]
    );
}

/// A login replaces the cookie, and the other request was sent with the old one.
#[test]
fn both_requests_are_sent_with_the_cookie_of_the_moment_before() {
    let yaml = "
about: a write under the cookie from before a login
requests:
  - page: '{% session a = 1 %}'
  - parallel:
      - {page: '', login: ann}
      - page: '{% session b = 2 %}'
    expect_session: {a: 1}
";
    let report = play(yaml);
    let orders = report.requests()[1].parallel.as_ref().unwrap();
    // It fails where the second request opens its session after the commit of the login: it then begins
    // another session. In all other orders its write is dropped, or signed in with the session.
    let last = orders.steps.last().unwrap();
    assert_eq!(
        serde_json::to_string(&last.session).unwrap(),
        r#"{"b":2}"#,
        "{report}"
    );
}

#[test]
fn json_has_the_orders_of_parallel_requests() {
    let yaml = "about: x\nrequests:\n  - parallel:\n      - page: a\n      - page: '{{ nope }}'\n        expect_error: nope\n";
    let line = serde_json::to_value(&play(yaml).requests()[0]).unwrap();
    assert_eq!(line["passed"], true);
    // A request that fails does not commit: two steps in three.
    assert_eq!(line["parallel"]["played"], 10);
    assert_eq!(line["parallel"]["failed"], 0);
    let steps = line["parallel"]["steps"].as_array().unwrap();
    let steps: Vec<_> = steps
        .iter()
        .map(|step| {
            (
                step["request"].as_u64().unwrap(),
                step["action"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            (1, "read"),
            (1, "render"),
            (1, "commit"),
            (2, "read"),
            (2, "render")
        ]
    );
    assert_eq!(line["parallel"]["steps"][1]["output"], "a");
    let error = line["parallel"]["steps"][4]["error"].as_str().unwrap();
    assert!(error.contains("nope"), "{error}");
}

/// The pages of a folder, as the tests of a site use them.
#[test]
fn pages_of_a_folder_are_visited() {
    let folder = Folder::new()
        .with("site/views/pages/add.liquid", "---\nmethod: post\nredirect_to: /list\n---\n{% session list = context.params.item %}")
        .with("site/views/pages/list.liquid", "{% render 'item' %} for {{ context.name }}")
        .with("site/views/partials/item.liquid", "<li>{{ context.session.list }}</li>")
        .with("site/views/layouts/application.liquid", "<ul>{{ content_for_layout }}</ul>")
        .with(
            "tests/list.yml",
            "about: a list\nviews: ../site\nrequests:\n  - visit: /add\n    method: post\n    params: {item: a}\n    expect: ''\n    expect_redirect: /list\n  - visit: /list\n    globals: {context: {name: Ann}}\n    expect: <ul><li>a</li> for Ann</ul>\n  - page: \"{% render 'item' %}\"\n    expect: <li>a</li>\n",
        );
    let report = folder.play("tests/list.yml").unwrap();
    assert_eq!((report.passed(), report.failed()), (3, 0), "{report}");

    for (request, problem) in [
        (
            "visit: /ad",
            "the views have no page for GET `/ad`; did you mean `/add`?",
        ),
        (
            "visit: /add",
            "the views have no page for GET `/add`, only for POST",
        ),
        (
            "visit: /list?a=b",
            "no page for GET `/list?a=b`: write the query as `params`",
        ),
        (
            "visit: /nowhere",
            "the views have no page for GET `/nowhere` at line",
        ),
    ] {
        let folder = Folder::new()
            .with("site/views/pages/add.liquid", "---\nmethod: post\n---\n")
            .with("site/views/pages/list.liquid", "")
            .with(
                "a.yml",
                &format!("about: x\nviews: site\nrequests:\n  - {request}\n"),
            );
        let err = folder.play("a.yml").unwrap_err();
        assert!(err.contains(problem), "{err}");
        assert!(err.contains("at line 4, column 12"), "{err}");
    }
}

#[test]
fn strict_scenarios_refuse_unknown_variables_in_session_values() {
    let yaml = |strict| {
        format!(
            "about: x\nstrict: {strict}\nrequests:\n  - page: \"{{% session a = session.b %}}\"\n"
        )
    };
    let failed = |strict| {
        let scenario = Scenario::from_yaml(&yaml(strict)).unwrap();
        scenario.run(MemoryStore::new()).unwrap().failed()
    };
    assert_eq!((failed(false), failed(true)), (0, 1));

    let folder = Folder::new()
        .with("views/pages/a.liquid", "{% session a = session.b %}")
        .with(
            "a.yml",
            "about: x\nviews: .\nstrict: true\nrequests:\n  - visit: /a\n",
        )
        .with("b.yml", "about: x\nviews: .\nrequests:\n  - visit: /a\n");
    assert_eq!(folder.play("a.yml").unwrap().failed(), 1);
    assert_eq!(folder.play("b.yml").unwrap().failed(), 0);
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
