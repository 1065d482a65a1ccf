//! Folders of views: both layouts, front matter, broken templates, changed files.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use liquid::object;
use liquid_core::{
    Display_filter, Filter, FilterReflection, ParseFilter, Runtime, Value, ValueView,
};
use liquid_session::views::Views;
use liquid_session::{ErrorKind, MemoryStore, SessionConfig, Sessions};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn sessions() -> Arc<Sessions> {
    Sessions::new(MemoryStore::new(), SessionConfig::default()).into()
}

fn render(views: &Views, method: &str, path: &str) -> Result<String, liquid_session::Error> {
    let page = views
        .page(method, path)
        .unwrap_or_else(|| panic!("no page {path}"));
    page.render(&sessions().open(None), &liquid::Object::new())
}

#[test]
fn both_layouts_of_folders_give_the_same_site() {
    for base in ["", "app/"] {
        let name = |inner: &str| format!("{base}{inner}");
        let folder = folder(&[
            (
                &name("views/pages/index.liquid"),
                "home {% render 'row', n: 1 %}",
            ),
            (
                &name("views/pages/style.css.liquid"),
                "---\nlayout: ''\n---\nbody{}",
            ),
            (
                &name("views/pages/shop/index.html.liquid"),
                "---\nlayout: plain\n---\nshop",
            ),
            (
                &name("views/layouts/application.liquid"),
                "<{{ content_for_layout }}>",
            ),
            (
                &name("views/layouts/plain.liquid"),
                "[{{ content_for_layout }}]",
            ),
            (&name("views/partials/row.liquid"), "row {{ n }}"),
            (
                &name("lib/double.liquid"),
                "{% assign d = n | times: 2 %}{% return d %}",
            ),
            (
                &name("views/pages/calls.liquid"),
                "{% function a = 'double', n: 2 %}{% function b = 'lib/double', n: a %}{{ b }}",
            ),
        ]);
        let views = Views::open(folder.path()).unwrap();
        assert_eq!(render(&views, "get", "/").unwrap(), "<home row 1>");
        assert_eq!(render(&views, "GET", "/shop").unwrap(), "[shop]");
        assert_eq!(render(&views, "head", "/shop/").unwrap(), "[shop]");
        assert_eq!(render(&views, "get", "/style.css").unwrap(), "body{}");
        assert_eq!(render(&views, "get", "/calls").unwrap(), "<8>");
        assert_eq!(views.pages().len(), 4);
        assert!(views.page("post", "/shop").is_none());
        assert!(views.page("get", "/style").is_none());
    }
}

#[test]
fn modules_are_found_and_the_application_replaces_their_files() {
    let folder = folder(&[
        (
            "app/views/pages/index.liquid",
            "{% function a = 'modules/core/add', n: 1 %}{{ a }} {% include 'modules/core/name' %}",
        ),
        (
            "modules/core/public/lib/add.liquid",
            "{% assign n = n | plus: 1 %}{% return n %}",
        ),
        ("modules/core/public/views/partials/name.liquid", "module"),
        (
            "app/modules/core/public/views/partials/name.liquid",
            "application",
        ),
        ("modules/core/private/views/partials/inner.liquid", "inner"),
        (
            "modules/core/public/views/pages/status.liquid",
            "{% include 'modules/core/inner' %}",
        ),
        (
            "modules/core/generators/page.liquid",
            "<%= no template %> {% broken",
        ),
    ]);
    let views = Views::open(folder.path()).unwrap();
    assert_eq!(render(&views, "get", "/").unwrap(), "2 application");
    assert_eq!(render(&views, "get", "/status").unwrap(), "inner");
}

#[test]
fn front_matter_says_path_method_format_and_metadata() {
    let folder = folder(&[
        (
            "views/pages/a.liquid",
            "---\nslug: orders/:id\nmethod: POST\nunknown: {a: [1]}\nmetadata:\n  title: A & B\n---\n{{ context.page.metadata.title }} {{ context.params.id }}",
        ),
        (
            "views/pages/b.liquid",
            "---\nslug: orders/new\nmethod: post\nredirect_to: /done\n---\nnew",
        ),
        (
            "views/pages/c.liquid",
            "---\nslug: list\nformat: json\n---\n[]",
        ),
        (
            "views/layouts/application.liquid",
            "layout {{ content_for_layout }}",
        ),
    ]);
    let views = Views::open(folder.path()).unwrap();
    let order = views.page("post", "/orders/7").unwrap();
    assert_eq!((order.path(), order.method()), ("/orders/:id", "post"));
    assert_eq!(order.params()["id"], "7");
    assert_eq!(
        render(&views, "post", "/orders/7").unwrap(),
        "layout A & B 7"
    );

    let new = views.page("post", "/orders/new").unwrap();
    assert_eq!(new.redirect_to(), Some("/done"));
    assert_eq!(
        render(&views, "post", "/orders/new").unwrap(),
        "new",
        "no layout"
    );
    assert!(
        views.page("post", "/orders/").is_none(),
        "a part is never empty"
    );

    let list = views.page("get", "/list.json").unwrap();
    assert_eq!(list.content_type(), "application/json");
    assert_eq!(views.methods("/orders/new"), ["POST"]);
    assert!(views.methods("/nowhere").is_empty());
}

#[test]
fn a_broken_template_fails_only_the_pages_that_use_it() {
    let folder = folder(&[
        ("views/pages/good.liquid", "---\nlayout: ''\n---\ngood"),
        (
            "views/pages/syntax.liquid",
            "---\nlayout: ''\n---\nfine\n  {% if %}{% endif %}",
        ),
        (
            "views/pages/first_line.liquid",
            "---\nlayout: ''\n---\n{{ 1 | nofilter }}",
        ),
        (
            "views/pages/uses.liquid",
            "---\nlayout: ''\n---\n{% include 'broken' %}",
        ),
        (
            "views/pages/runs.liquid",
            "---\nlayout: ''\n---\n\n{% include 'none' %}",
        ),
        ("views/pages/yaml.liquid", "---\nlayout: [\n---\nx"),
        ("views/pages/layout.liquid", "---\nlayout: nothing\n---\nx"),
        (
            "views/pages/twice.liquid",
            "---\nslug: good\nmethod: put\n---\nx",
        ),
        (
            "views/pages/twin.liquid",
            "---\nslug: good\nmethod: put\n---\nx",
        ),
        ("views/partials/broken.liquid", "\n\n{% nonsense %}"),
    ]);
    let views = Views::open(folder.path()).unwrap();
    let fails = |method: &str, path: &str, expected: &[&str]| {
        let error = render(&views, method, path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Render);
        let error = error.to_string();
        for part in expected {
            assert!(error.contains(part), "`{part}` in {error}");
        }
    };
    assert_eq!(render(&views, "get", "/good").unwrap(), "good");
    fails(
        "get",
        "/syntax",
        &["--> views/pages/syntax.liquid:5:", "5 |   {% if %}"],
    );
    fails(
        "get",
        "/first_line",
        &["--> views/pages/first_line.liquid:4:8"],
    );
    fails(
        "get",
        "/uses",
        &[
            "--> views/partials/broken.liquid:3:4",
            "views/pages/uses.liquid:4: {%",
        ],
    );
    fails(
        "get",
        "/runs",
        &["views/pages/runs.liquid:5: {% include 'none' %}"],
    );
    fails("", "", &["views/pages/yaml.liquid: front matter: "]);
    fails(
        "get",
        "/layout",
        &["views/pages/layout.liquid: the layout `nothing` is unknown"],
    );
    fails(
        "put",
        "/good",
        &["`views/pages/twin.liquid` is also the page of PUT /good"],
    );
}

#[test]
fn a_failed_layout_takes_back_what_the_page_wrote() {
    let folder = folder(&[
        ("views/pages/a.liquid", "{% session a = 1 %}"),
        (
            "views/layouts/application.liquid",
            "{{ content_for_layout }}{% include 'none' %}",
        ),
    ]);
    let views = Views::open(folder.path()).unwrap();
    let sessions = sessions();
    let session = sessions.open(None);
    let page = views.page("get", "/a").unwrap();
    page.render(&session, &liquid::Object::new()).unwrap_err();
    assert!(!session.has_changes());
}

#[test]
fn a_changed_file_is_read_again_when_asked_to() {
    let folder = folder(&[
        ("views/pages/a.liquid", "{% include 'p' %}"),
        ("views/partials/p.liquid", "one"),
    ]);
    let views = Views::open(folder.path()).unwrap();
    assert!(!views.refresh().unwrap());
    write(folder.path(), "views/partials/p.liquid", "second");
    assert_eq!(render(&views, "get", "/a").unwrap(), "one");
    assert!(views.refresh().unwrap());
    assert_eq!(render(&views, "get", "/a").unwrap(), "second");
    write(folder.path(), "views/pages/b.liquid", "new");
    assert!(views.refresh().unwrap());
    assert_eq!(render(&views, "get", "/b").unwrap(), "new");
    fs::remove_file(folder.path().join("views/pages/b.liquid")).unwrap();
    assert!(views.refresh().unwrap());
    assert!(views.page("get", "/b").is_none());
}

#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(name = "shout", description = "upper case", parsed(ShoutFilter))]
struct Shout;

#[derive(Debug, Default, Display_filter)]
#[name = "shout"]
struct ShoutFilter;

impl Filter for ShoutFilter {
    fn evaluate(&self, input: &dyn ValueView, _: &dyn Runtime) -> liquid_core::Result<Value> {
        Ok(Value::scalar(input.to_kstr().to_uppercase()))
    }
}

#[test]
fn a_host_adds_its_own_tags_and_filters() {
    let folder = folder(&[("views/pages/a.liquid", "{{ 'a' | shout }}")]);
    let views = Views::open_with(folder.path(), |builder| builder.filter(Shout)).unwrap();
    assert_eq!(render(&views, "get", "/a").unwrap(), "A");
}

#[test]
fn a_folder_without_templates_is_no_site() {
    let empty = tempfile::tempdir().unwrap();
    let error = Views::open(empty.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error
            .to_string()
            .contains("expected templates in `views/pages`"),
        "{error}"
    );
    let error = Views::open(empty.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("none: "), "{error}");
}

#[test]
fn the_shop_s_pages_render() {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/site");
    let views = Views::open(site).unwrap();
    let sessions = sessions();
    let globals = object!({ "context": { "params": {}, "location": { "pathname": "/" } } });
    for page in views.pages() {
        let session = sessions.open(None);
        page.render(&session, &globals)
            .unwrap_or_else(|error| panic!("{}: {error}", page.file()));
    }
}
