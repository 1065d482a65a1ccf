//! Any text through the dialect: a template or an error that points into the text, never a panic, and
//! never a template that means something else for what stands before or behind it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use liquid::partials::{InMemorySource, LazyCompiler};
use liquid_session::dialect::{DialectExt as _, Translated, translate};

fn parser() -> &'static liquid::Parser {
    static PARSER: OnceLock<liquid::Parser> = OnceLock::new();
    PARSER.get_or_init(|| {
        let mut partials = InMemorySource::new();
        partials.add("p", "[{{ a }}{{ p }}{% assign leaked = a %}{% return a %}]");
        liquid::ParserBuilder::with_stdlib()
            .dialect()
            .partials(LazyCompiler::new(Translated::new(partials)))
            .build()
            .expect("the parser is right")
    })
}

fn render(source: &str) -> Result<String, String> {
    let globals = liquid::object!({
        "s": "text, with a comma", "n": 3, "f": 1.5, "xs": [1, "b"], "o": { "k": { "l": [2] } },
        "context": { "session": { "cart": ["boots"] } },
    });
    let page = parser().parse(&translate(source));
    page.and_then(|page| page.render(&globals))
        .map_err(|error| error.to_string())
}

/// Whether a render may take without end what the dialect does not bound: loops in loops, texts that
/// double.
fn is_bounded(source: &str) -> bool {
    let count = |word: &str| source.matches(word).count();
    let doubles = [
        "append",
        "prepend",
        "concat",
        "replace",
        "join",
        "array_add",
        "newline",
        "escape",
    ];
    count("..") == 0
        && count("for") + count("tablerow") <= 2
        && doubles.iter().map(|word| count(word)).sum::<usize>() <= 6
        && count("capture") <= 3
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(source) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    if let Err(error) = parser().parse(&translate(source)) {
        let shown = error.to_string();
        let place = shown
            .split_once("--> ")
            .and_then(|(_, place)| place.split_once(':'));
        let (line, _) = place.expect("an error of the source has a place");
        let line: usize = line.parse().expect("a line is a number");
        assert!(
            (1..=source.matches('\n').count() + 1).contains(&line),
            "{shown}"
        );
        // Unless the author wrote it.
        assert!(
            source.contains("__dialect") || !shown.contains("__dialect"),
            "{shown}"
        );
        return Corpus::Keep;
    }
    if !source.contains("{{") && !source.contains("{%") {
        assert_eq!(render(source).as_deref(), Ok(source));
    }
    if !is_bounded(source) {
        return Corpus::Keep;
    }
    let Ok(printed) = render(source) else {
        return Corpus::Keep;
    };
    // Text in front is printed in front, and a note behind changes nothing; `-` removes white space
    // only, and no letter.
    assert_eq!(
        render(&format!("A{source}")),
        Ok(format!("A{printed}")),
        "{source}"
    );
    if !source.ends_with('{') {
        assert_eq!(
            render(&format!("{source}{{% # note %}}")),
            Ok(printed),
            "{source}"
        );
    }
    Corpus::Keep
});
