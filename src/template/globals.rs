//! The globals of a render: the caller's own, and the session under `context`.

use std::fmt;

use liquid::Template;
use liquid_core::ValueView;
use liquid_core::model::{
    DisplayCow, KString, KStringCow, ObjectView, State, Value as LiquidValue,
};

use super::lenient::Lenient;
use crate::error::{Error, ErrorKind};
use crate::session::{Savepoint, Session};
use crate::template::value::NIL;
use crate::template::view::{CONTEXT, SESSION, SessionView};

impl Session {
    /// Puts the session under `context.session`, beside the caller's own globals and own `context`
    /// object. The result borrows both, and goes to plain [`Template::render`].
    ///
    /// It costs no store call. When the render fails, the handle can't see it: call
    /// [`discard`](Self::discard), or use [`render`](Self::render), which takes back what the failed
    /// render wrote.
    ///
    /// # Example
    ///
    /// ```
    /// use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
    ///
    /// let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
    /// let page = parser.parse(
    ///     "{% session color = params.color %}{{ context.session.color }} for {{ context.name }}",
    /// )?;
    /// let globals = liquid::object!({
    ///     "params": { "color": "dark" },
    ///     "context": { "name": "Ann" },
    /// });
    ///
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// assert_eq!(page.render(&session.bind(&globals))?, "dark for Ann");
    /// # Ok::<(), liquid::Error>(())
    /// ```
    pub fn bind<'g, G: ObjectView + ?Sized>(&'g self, globals: &'g G) -> Bound<'g, G> {
        Bound {
            context: Context {
                view: SessionView::new(self),
                globals,
            },
            extra: Vec::new(),
        }
    }

    /// Renders a template with the session under `context.session`. When that fails, what this
    /// render wrote is taken back, also when it panics, so that an error page on the same handle can
    /// still be rendered and committed.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Render`]: the template failed; the text is the engine's.
    /// - What the store said when the template read or wrote the session and the store could not be
    ///   reached, also where the engine itself can't fail (a bare `if`, the session as a whole).
    ///
    /// # Example
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
    /// # let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// let broken = parser.parse("{% session a = 1 %}{{ nobody.knows }}")?;
    /// assert!(session.render(&broken, &liquid::Object::new()).is_err());
    /// assert_eq!(session.get("a")?, None, "as if the page had never run");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render<G: ObjectView + ?Sized>(
        &self,
        template: &Template,
        globals: &G,
    ) -> Result<String, Error> {
        self.render_bound(template, &self.bind(globals))
    }

    /// The same with globals that are bound already, for what [`Bound::with`] and
    /// [`Bound::lenient`] add.
    ///
    /// # Errors
    ///
    /// As for [`render`](Self::render).
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
    /// # let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// let layout = parser.parse("<body>{{ content_for_layout }}</body>")?;
    /// let globals = liquid::Object::new();
    /// let bound = session.bind(&globals).with("content_for_layout", "Hello");
    /// assert_eq!(session.render_bound(&layout, &bound)?, "<body>Hello</body>");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render_bound(
        &self,
        template: &Template,
        globals: &dyn ObjectView,
    ) -> Result<String, Error> {
        let mut undo = Undo(self, Some(self.savepoint()));
        let rendered = template.render(globals);
        match (rendered, self.failure()) {
            (Ok(output), None) => {
                undo.1 = None;
                Ok(output)
            }
            (_, Some(failure)) => Err(failure),
            (Err(error), None) => Err(error.into()),
        }
    }
}

/// Takes back what was written since, unless told otherwise: also when a filter panics.
struct Undo<'s>(&'s Session, Option<Savepoint>);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.1.take() {
            self.0.roll_back(&before);
        }
    }
}

/// A template's failure, with the engine's text.
impl From<liquid::Error> for Error {
    fn from(error: liquid::Error) -> Self {
        Self::with_source(
            ErrorKind::Render,
            error.to_string().trim_end().to_owned(),
            error,
        )
    }
}

/// So that closures and handlers which render can return one kind of error.
impl From<Error> for liquid::Error {
    fn from(error: Error) -> Self {
        Self::with_msg(error.to_string()).cause(error)
    }
}

/// A caller's globals with a session under `context`; made by [`Session::bind`].
///
/// The caller's own `context` keeps its fields: `context.params` stands beside `context.session`.
/// What a template reads stays in memory until this is dropped: bind anew for each render.
///
/// ```
/// # use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
/// # let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
/// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// # let session = sessions.open(None);
/// let globals = liquid::object!({ "title": "Shop" });
/// let bound = session.bind(&globals);
/// let page = parser.parse("{{ title }}{% if context.session %}!{% endif %}")?;
/// assert_eq!(page.render(&bound)?, "Shop!");
/// # Ok::<(), liquid::Error>(())
/// ```
pub struct Bound<'g, G: ?Sized> {
    pub(super) context: Context<'g, G>,
    /// What [`with`](Self::with) added: mostly nothing, or one variable for a layout.
    pub(super) extra: Vec<(KString, Box<dyn ValueView + Send + 'g>)>,
}

impl<'g, G: ObjectView + ?Sized> Bound<'g, G> {
    /// Adds a variable, over one of the same name in the globals: `content_for_layout`, say.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
    /// # let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// let page = parser.parse("{{ a }}{{ b }}")?;
    /// let globals = liquid::object!({ "a": 1, "b": 2 });
    /// assert_eq!(page.render(&session.bind(&globals).with("b", "x"))?, "1x");
    /// # Ok::<(), liquid::Error>(())
    /// ```
    #[must_use]
    pub fn with(mut self, name: impl Into<KString>, value: impl ValueView + Send + 'g) -> Self {
        let name = name.into();
        self.extra.retain(|(other, _)| *other != name);
        self.extra.push((name, Box::new(value)));
        self
    }

    /// Makes unknown variables nil, and unknown indexes on paths that start at a global, as the
    /// reference engine does.
    ///
    /// Loop and assigned variables are the engine's and stay strict; counters of `increment` can't be
    /// read by name any more, because every name is known then.
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
    /// # let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// let page = parser.parse("[{{ params.tab }}{{ page.a.b }}]")?;
    /// let globals = liquid::object!({ "page": {} });
    /// assert!(page.render(&session.bind(&globals)).is_err());
    /// assert_eq!(page.render(&session.bind(&globals).lenient())?, "[]");
    /// # Ok::<(), liquid::Error>(())
    /// ```
    #[must_use]
    pub fn lenient(self) -> Lenient<'g, G> {
        Lenient::new(self)
    }

    fn added(&self, name: &str) -> Option<&dyn ValueView> {
        let (_, value) = self.extra.iter().find(|(other, _)| other == name)?;
        Some(&**value)
    }

    fn has(&self, name: &str) -> bool {
        // The answer to a tag's question is "no", so that the engine looks no further.
        !self.context.view.answers(name)
            && (name == CONTEXT
                || self.added(name).is_some()
                || self.context.globals.contains_key(name))
    }

    fn member(&self, name: &str) -> Option<&dyn ValueView> {
        if name == CONTEXT {
            return Some(&self.context);
        }
        self.added(name).or_else(|| self.context.globals.get(name))
    }

    fn names(&self) -> impl Iterator<Item = KStringCow<'_>> {
        let own = self.context.globals.keys();
        let extra = self.extra.iter().map(|(name, _)| name.as_str().into());
        own.filter(|name| name.as_str() != CONTEXT && self.added(name.as_str()).is_none())
            .chain(extra)
            .chain([KStringCow::from_static(CONTEXT)])
    }
}

/// `context`: the session beside the caller's own fields.
pub(super) struct Context<'g, G: ?Sized> {
    pub(super) view: SessionView<'g>,
    pub(super) globals: &'g G,
}

impl<'g, G: ObjectView + ?Sized> Context<'g, G> {
    pub(super) fn own(&self) -> Option<&'g dyn ObjectView> {
        let globals: &'g G = self.globals;
        globals.get(CONTEXT)?.as_object()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = KStringCow<'_>> {
        let own = self.own().into_iter().flat_map(|own| own.keys());
        own.filter(|name| name.as_str() != SESSION)
            .chain([KStringCow::from_static(SESSION)])
    }

    pub(super) fn has(&self, name: &str) -> bool {
        name == SESSION
            || self.view.answers(name)
            || self.own().is_some_and(|own| own.contains_key(name))
    }

    fn member(&self, name: &str) -> Option<&dyn ValueView> {
        if name == SESSION {
            return Some(self.session());
        }
        self.own()?.get(name)
    }

    pub(super) fn session(&self) -> &dyn ValueView {
        if self.view.session().is_enabled() {
            &self.view
        } else {
            &NIL
        }
    }
}

/// An object of two layers as a view, by its `names`, `has` and `member`.
macro_rules! layered_view {
    ($type:ident) => {
        impl<G: ObjectView + ?Sized> fmt::Debug for $type<'_, G> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        }

        impl<G: ObjectView + ?Sized> ValueView for $type<'_, G> {
            fn as_debug(&self) -> &dyn fmt::Debug {
                self
            }

            fn render(&self) -> DisplayCow<'_> {
                DisplayCow::Owned(Box::new(self.to_value().render().to_string()))
            }

            fn source(&self) -> DisplayCow<'_> {
                // In error texts: no keys, no values.
                DisplayCow::Borrowed(&"object")
            }

            fn type_name(&self) -> &'static str {
                "object"
            }

            fn query_state(&self, state: State) -> bool {
                matches!(state, State::Truthy)
            }

            fn to_kstr(&self) -> KStringCow<'_> {
                KStringCow::from_string(self.render().to_string())
            }

            fn to_value(&self) -> LiquidValue {
                LiquidValue::Object(
                    self.iter()
                        .map(|(name, value)| (name.into_owned(), value.to_value()))
                        .collect(),
                )
            }

            fn as_object(&self) -> Option<&dyn ObjectView> {
                Some(self)
            }
        }

        impl<G: ObjectView + ?Sized> ObjectView for $type<'_, G> {
            fn as_value(&self) -> &dyn ValueView {
                self
            }

            fn size(&self) -> i64 {
                self.names().count() as i64
            }

            fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
                Box::new(self.names())
            }

            fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
                Box::new(self.iter().map(|(_, value)| value))
            }

            fn iter<'k>(
                &'k self,
            ) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
                Box::new(self.names().filter_map(|name| {
                    let value = self.member(name.as_str())?;
                    Some((name, value))
                }))
            }

            fn contains_key(&self, index: &str) -> bool {
                self.has(index)
            }

            fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
                self.member(index)
            }
        }
    };
}

pub(super) use layered_view;

layered_view!(Context);
layered_view!(Bound);
