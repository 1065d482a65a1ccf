//! Liquid as platformOS and Shopify write it, for liquid-rust's parser.
//!
//! liquid-rust knows no `{% liquid %}`, no `echo`, no literals of arrays and objects, and stops at an
//! unknown variable; templates that were written for Ruby Liquid need all of these. [`translate`] makes
//! of such a source one that the engine parses, and [`DialectExt::dialect`] registers the tags and
//! filters of it. What it adds, and what stays different from Ruby, is on the guide's page [Liquid
//! dialect](crate::guide::dialect).
//!
//! ```
//! use liquid_session::dialect::{DialectExt as _, Translated, translate};
//!
//! let mut partials = liquid::partials::InMemorySource::new();
//! partials.add("total", "{% assign sum = items | sum: 'price' %}{% return sum %}");
//! let parser = liquid::ParserBuilder::with_stdlib()
//!     .dialect()
//!     .partials(liquid::partials::EagerCompiler::new(Translated::new(partials)))
//!     .build()?;
//!
//! let page = parser.parse(&translate("{% liquid
//!   assign cart = [{ \"price\": 3 }, { \"price\": 4 }]
//!   function sum = 'total', items: cart
//!   echo sum
//! %}{{ user.name }}"))?;
//! assert_eq!(page.render(&liquid::Object::new())?, "7");
//! # Ok::<(), liquid::Error>(())
//! ```
//!
//! An error points at the author's text:
//!
//! ```
//! use liquid_session::dialect::{DialectExt as _, translate};
//!
//! let parser = liquid::ParserBuilder::with_stdlib().dialect().build()?;
//! let error = parser.parse(&translate("{% liquid\n  assign a = 1\n  eco a\n%}")).err().unwrap();
//! assert!(error.to_string().contains("3:3"), "{error}");
//! assert!(error.to_string().contains("unknown tag `eco`, did you mean `echo`?"), "{error}");
//! # Ok::<(), liquid::Error>(())
//! ```

mod envelope;
mod expression;
mod filters;
#[cfg(feature = "cli")]
mod foreign;
mod frames;
mod host;
mod markup;
mod node;
#[cfg(feature = "cli")]
mod outline;
mod parse;
mod scan;
mod source;
mod tags;
mod values;

use std::borrow::Cow;

use liquid_core::partials::{PartialCompiler, PartialSource};
use liquid_core::{Language, ParseTag, Renderable, Result, TagReflection, TagTokenIter};

#[cfg(feature = "cli")]
pub(crate) use foreign::{Foreign, Shape};
use node::Root;
#[cfg(feature = "cli")]
pub(crate) use outline::{Piece, Step, Token, Word, outline};
pub(crate) use source::Place;
use source::Source;
#[cfg(feature = "cli")]
pub(crate) use source::line_column;

/// Translates a template's source into one that the engine's grammar accepts.
///
/// - The result is for a parser with [`dialect`](DialectExt::dialect): the source is the argument of
///   one tag, which parses it.
/// - It takes time linear in the source, and copies nothing that has neither `{{` nor `{%` in it.
/// - It never fails: what is wrong with a source is an error of `parse`, with the line and column of
///   the author's text.
/// - Translate a source once: the result is no source.
///
/// ```
/// use liquid_session::dialect::{DialectExt as _, translate};
///
/// let parser = liquid::ParserBuilder::with_stdlib().dialect().build()?;
/// let page = parser.parse(&translate("{% echo 'a,b' | split: ',' | last %}"))?;
/// assert_eq!(page.render(&liquid::Object::new())?, "b");
/// # Ok::<(), liquid::Error>(())
/// ```
pub fn translate(source: &str) -> Cow<'_, str> {
    envelope::seal(source, &Place::default())
}

/// Like [`translate`], for a source from a file, which errors name.
#[cfg(feature = "views")]
pub(crate) fn translate_at<'s>(source: &'s str, place: &Place) -> Cow<'s, str> {
    envelope::seal(source, place)
}

/// Registers the dialect with `liquid::ParserBuilder`.
pub trait DialectExt {
    /// The tags and filters of the dialect, for [translated](translate) sources.
    ///
    /// - Call it after `with_stdlib()` or `stdlib()`, whose filters it replaces, or without them: it
    ///   needs nothing of the standard library.
    /// - Register your own filters after it.
    /// - In translated sources the dialect's own tags replace any tag that is registered under a name of
    ///   the standard library's. All other tags and blocks are the host's.
    ///
    /// ```
    /// use liquid_session::dialect::{DialectExt as _, translate};
    ///
    /// let parser = liquid::ParserBuilder::with_stdlib().dialect().build()?;
    /// let page = parser.parse(&translate("{% if user.tags contains 'new' %}a{% else %}b{% endif %}"))?;
    /// assert_eq!(page.render(&liquid::Object::new())?, "b");
    /// # Ok::<(), liquid::Error>(())
    /// ```
    #[must_use]
    fn dialect(self) -> Self;
}

impl<P: PartialCompiler> DialectExt for liquid::ParserBuilder<P> {
    fn dialect(self) -> Self {
        filters::ALL
            .iter()
            .fold(self.tag(Template::default()), |builder, filter| {
                builder.filter(*filter)
            })
    }
}

/// Lets tags that are not registered parse. To be called after [`DialectExt::dialect`].
#[cfg(feature = "cli")]
pub(crate) fn with_foreign(
    builder: liquid::ParserBuilder,
    foreign: Foreign,
) -> liquid::ParserBuilder {
    builder.tag(Template { foreign })
}

/// Translates the partials of any source, for a partial compiler.
///
/// ```
/// use liquid::partials::{InMemorySource, LazyCompiler};
/// use liquid_session::dialect::{DialectExt as _, Translated, translate};
///
/// let mut partials = InMemorySource::new();
/// partials.add("hello", "{% liquid\n  echo 'Hello '\n  echo name\n%}");
/// let parser = liquid::ParserBuilder::with_stdlib()
///     .dialect()
///     .partials(LazyCompiler::new(Translated::new(partials)))
///     .build()?;
/// let page = parser.parse(&translate("{% render 'hello', name: 'Ann' %}"))?;
/// assert_eq!(page.render(&liquid::Object::new())?, "Hello Ann");
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Translated<S>(S);

impl<S: PartialSource> Translated<S> {
    /// Wraps a source of partials.
    pub fn new(source: S) -> Self {
        Self(source)
    }
}

impl<S: PartialSource> PartialSource for Translated<S> {
    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.names()
    }

    fn try_get<'a>(&'a self, name: &str) -> Option<Cow<'a, str>> {
        self.0.try_get(name).map(|source| match source {
            Cow::Borrowed(source) => translate(source),
            Cow::Owned(source) => Cow::Owned(translate(&source).into_owned()),
        })
    }
}

/// The tag that holds a translated template.
#[derive(Clone, Copy, Debug, Default)]
struct Template {
    #[cfg(feature = "cli")]
    foreign: Foreign,
}

impl TagReflection for Template {
    fn tag(&self) -> &str {
        envelope::TAG
    }

    fn description(&self) -> &str {
        "a template in the Liquid dialect, made by `dialect::translate`"
    }
}

impl ParseTag for Template {
    fn parse(
        &self,
        mut tokens: TagTokenIter<'_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let expected = "expected a template that `dialect::translate` made";
        let token = tokens.expect_next(expected)?;
        let Some(sealed) = unquoted(token.as_str()) else {
            return Err(token.raise_custom_error(expected));
        };
        let mut place = Place::default();
        if let Some(file) = tokens.next() {
            place.file = envelope::open(unquoted(file.as_str()).unwrap_or_default());
            let lines = tokens.next().and_then(|lines| lines.as_str().parse().ok());
            place.lines_before = lines.unwrap_or_default();
        }
        let source = Source::new(&envelope::open(sealed), place);
        let parser = parse::Parser::new(&source, options);
        #[cfg(feature = "cli")]
        let parser = parser.with_foreign(self.foreign);
        let body = parser.template()?;
        Ok(Box::new(Root::new(source, body)))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

fn unquoted(token: &str) -> Option<&str> {
    token.strip_prefix('"')?.strip_suffix('"')
}

/// ", did you mean `…`?", or nothing if no name is near.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min();
    match near {
        Some((distance, near)) if distance <= 1 + name.chars().count() / 4 => {
            format!(", did you mean `{near}`?")
        }
        _ => String::new(),
    }
}
