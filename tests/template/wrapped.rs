//! A host's own object in front of the bound globals: tags still find the session behind it.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::counted::Counted;
use liquid::model::{DisplayCow, KStringCow, ObjectView, State, Value, ValueView};
use liquid_session::{ParserBuilderExt as _, Session};

/// How the object says whether it has a name.
#[derive(Clone, Copy)]
enum Answer {
    /// As the globals do.
    Same,
    /// The same, asking twice.
    Twice,
    /// By looking for the value.
    ByValue,
}

struct Around<'a> {
    globals: &'a dyn ObjectView,
    answer: Answer,
    /// What else happens then.
    also: &'a dyn Fn(),
}

impl fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.globals.fmt(f)
    }
}

impl ValueView for Around<'_> {
    fn as_debug(&self) -> &dyn fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        self.globals.render()
    }

    fn source(&self) -> DisplayCow<'_> {
        self.globals.source()
    }

    fn type_name(&self) -> &'static str {
        self.globals.type_name()
    }

    fn query_state(&self, state: State) -> bool {
        self.globals.query_state(state)
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        self.globals.to_kstr()
    }

    fn to_value(&self) -> Value {
        self.globals.to_value()
    }

    fn as_object(&self) -> Option<&dyn ObjectView> {
        Some(self)
    }
}

impl ObjectView for Around<'_> {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        self.globals.size()
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        self.globals.keys()
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        self.globals.values()
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        self.globals.iter()
    }

    fn contains_key(&self, index: &str) -> bool {
        (self.also)();
        match self.answer {
            Answer::Same => self.globals.contains_key(index),
            Answer::Twice => self.globals.contains_key(index) & self.globals.contains_key(index),
            Answer::ByValue => self.globals.get(index).is_some(),
        }
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        self.globals.get(index)
    }
}

fn parse(text: &str) -> liquid::Template {
    let parser = liquid::ParserBuilder::with_stdlib().sessions();
    parser.build().unwrap().parse(text).unwrap()
}

fn session() -> Session {
    Counted::default().sessions().open(None)
}

/// Renders with the object around the session's globals.
fn render(
    session: &Session,
    text: &str,
    answer: Answer,
    also: &dyn Fn(),
) -> Result<String, String> {
    let globals = liquid::Object::new();
    let bound = session.bind(&globals);
    let around = Around {
        globals: &bound,
        answer,
        also,
    };
    let rendered = parse(text).render(&around);
    rendered.map_err(|error| error.to_string())
}

#[test]
fn tags_write_through_it() {
    for answer in [Answer::Same, Answer::Twice, Answer::ByValue] {
        let session = session();
        let page =
            "{% session a = 1 %}{{ context.session.a }}{% session a = nil %}{% session b = 2 %}";
        assert_eq!(render(&session, page, answer, &|| ()), Ok("1".to_owned()));
        assert_eq!(session.entries().unwrap(), [("b".to_owned(), 2.into())]);
    }
}

#[test]
fn a_variable_that_hides_context_later_is_no_obstacle() {
    let session = session();
    let page = "{% session a = 1 %}{% assign context = 'mine' %}{% session b = 2 %}{{ context }}";
    let rendered = render(&session, page, Answer::Same, &|| ());
    assert_eq!(rendered, Ok("mine".to_owned()));
    assert_eq!(session.keys().unwrap(), ["a", "b"]);
}

#[test]
fn what_it_renders_meanwhile_goes_to_its_own_session() {
    for answer in [Answer::Same, Answer::ByValue] {
        let (outer, inner) = (session(), session());
        let (text, busy) = (Cell::new(String::new()), Cell::new(false));
        let also = || {
            if !busy.replace(true) {
                let page =
                    parse("{{ context.session.a }}{% session a = 'in' %}{{ context.session.a }}");
                let globals = liquid::Object::new();
                text.set(page.render(&inner.bind(&globals)).unwrap());
                busy.set(false);
            }
        };
        let rendered = render(&outer, "{% session a = 'out' %}", answer, &also);
        assert_eq!(rendered, Ok(String::new()));
        assert_eq!(outer.get("a").unwrap(), Some("out".into()));
        assert_eq!(inner.get("a").unwrap(), Some("in".into()));
        assert!(text.take().ends_with("in"));
    }
}

#[test]
fn a_panic_in_it_leaves_nothing_for_the_next_template() {
    let session = session();
    let panics = || panic!("the host's own");
    let broken = || render(&session, "{% session a = 1 %}", Answer::Same, &panics);
    assert!(catch_unwind(AssertUnwindSafe(broken)).is_err());
    assert!(!session.has_changes());

    // The name by which a tag asks: nobody asks any more.
    let globals = liquid::Object::new();
    let bound = session.bind(&globals);
    let context = bound.get("context").unwrap().as_object().unwrap();
    assert!(!context.contains_key("\0session handle"));
}
