#![doc = include_str!("../../docs/hostile.md")]

mod nesting;
mod values;
mod visitors;
mod writes;

use crate::counted::Counted;
use liquid::partials::{EagerCompiler, InMemorySource};
use liquid_session::{Error, ParserBuilderExt as _, Session, Status};

/// On a stack as threads have it by default, whatever the environment says.
fn on_a_small_stack(act: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(act)
        .unwrap()
        .join()
        .unwrap();
}

fn parser_with(partials: &[(&str, &str)]) -> liquid::Parser {
    let mut source = InMemorySource::new();
    for (name, text) in partials {
        source.add(*name, *text);
    }
    liquid::ParserBuilder::with_stdlib()
        .sessions()
        .partials(EagerCompiler::new(source))
        .build()
        .unwrap()
}

/// A session that holds `before: "kept"`, opened anew.
fn stored() -> Session {
    let sessions = Counted::default().sessions();
    let session = sessions.open(None);
    session.set("before", "kept").unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    sessions.open(Some(&cookie))
}

fn render(session: &Session, template: &str) -> Result<String, Error> {
    render_with(&parser_with(&[]), session, template)
}

fn render_with(
    parser: &liquid::Parser,
    session: &Session,
    template: &str,
) -> Result<String, Error> {
    let template = parser.parse(template).unwrap();
    session.render(&template, &liquid::Object::new())
}

/// The render fails with this text and little more, takes nothing with it, and the next write on the
/// same handle is stored.
fn fails_and_loses_nothing(result: Result<String, Error>, session: &Session, why: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
    assert!(!session.has_changes(), "{error}");
    session.set("after", 1).unwrap();
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    assert_eq!(
        session.entries().unwrap(),
        [
            ("after".to_owned(), 1.into()),
            ("before".to_owned(), "kept".into())
        ],
    );
}
