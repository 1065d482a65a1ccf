//! A whole template as the argument of one tag, so that the engine's grammar refuses nothing in it.
//!
//! The engine's strings know no escapes, so the quote that closes them is written as a control
//! character, and the two characters used for that are escaped.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::source::Place;

/// The tag that holds a template, under a name that no author uses.
pub(super) const TAG: &str = "__dialect__";

const QUOTE: char = '\u{1A}';
const ESCAPE: char = '\u{1B}';

/// Returns the source as one tag. A source without markup is returned unchanged.
pub(super) fn seal<'s>(source: &'s str, place: &Place) -> Cow<'s, str> {
    if !source.contains("{{") && !source.contains("{%") {
        return Cow::Borrowed(source);
    }
    let mut sealed = String::with_capacity(source.len() + source.len() / 16 + 24);
    sealed.push_str("{% ");
    sealed.push_str(TAG);
    sealed.push_str(" \"");
    escape(source, &mut sealed);
    sealed.push('"');
    if *place != Place::default() {
        sealed.push_str(" \"");
        escape(&place.file, &mut sealed);
        // Writing to a string does not fail.
        let _ = write!(sealed, "\" {}", place.lines_before);
    }
    sealed.push_str(" %}");
    Cow::Owned(sealed)
}

fn escape(text: &str, sealed: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['"', QUOTE, ESCAPE]) {
        let (plain, special) = rest.split_at(at);
        sealed.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => sealed.push(QUOTE),
            Some(QUOTE) => sealed.extend([ESCAPE, 'q']),
            _ => sealed.extend([ESCAPE, 'e']),
        }
        rest = chars.as_str();
    }
    sealed.push_str(rest);
}

/// Returns the text that [`escape`] wrote between the quotes.
pub(super) fn open(sealed: &str) -> String {
    let mut source = String::with_capacity(sealed.len());
    let mut rest = sealed;
    while let Some(at) = rest.find([QUOTE, ESCAPE]) {
        let (plain, special) = rest.split_at(at);
        source.push_str(plain);
        let mut chars = special.chars();
        if chars.next() == Some(QUOTE) {
            source.push('"');
        } else {
            source.push(match chars.next() {
                Some('q') => QUOTE,
                _ => ESCAPE,
            });
        }
        rest = chars.as_str();
    }
    source.push_str(rest);
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_comes_back_as_it_was() {
        for source in [
            "{{ \"a\" }}",
            "{% if a == \"%}\" %}\u{1A}\u{1B}q\u{1B}\u{1B}e\"\"{% endif %}",
            "\u{1B}{{",
        ] {
            let sealed = seal(source, &Place::default());
            let inner = sealed
                .strip_prefix("{% __dialect__ \"")
                .and_then(|sealed| sealed.strip_suffix("\" %}"))
                .unwrap();
            assert!(!inner.contains('"'), "{inner}");
            assert_eq!(open(inner), source);
        }
    }

    #[test]
    fn text_without_markup_is_not_copied() {
        assert!(matches!(
            seal("a } \"b\" {", &Place::default()),
            Cow::Borrowed(_)
        ));
    }
}
