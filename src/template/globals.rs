//! The globals of a render: those of the host, and the session under `context`.

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
use crate::template::view::{CONTEXT, CURRENT_USER, SESSION, SessionView};

impl Session {
    /// Adds the session as `context.session` to the host's globals, for [`Template::render`].
    ///
    /// - It costs no store call.
    /// - A `context` object in the globals keeps its other fields.
    /// - `context.current_user.id` is the [user](Self::user) who is signed in, and nil without one; unless
    ///   the host's own `context` has a `current_user`.
    /// - The session can't see whether [`Template::render`] fails. Call [`discard`](Self::discard) then,
    ///   or use [`render`](Self::render), which takes back the writes of a failed render.
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

    /// Renders a template with the session as `context.session`.
    ///
    /// If the render fails or panics, its writes are taken back. An error page can then be rendered in
    /// the same session and committed.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Render`]: the template failed; the text is the engine's. It is for the author of
    ///   the template, not for visitors.
    /// - [`ErrorKind::Unavailable`], [`ErrorKind::Corrupt`]: a read of the session failed, also where the
    ///   engine itself can't fail, such as in a bare `if`.
    ///
    /// # Example
    ///
    /// ```
    /// # use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
    /// # let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
    /// # let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// # let session = sessions.open(None);
    /// let broken = parser.parse("{% session step = 2 %}{{ unknown }}")?;
    /// assert!(session.render(&broken, &liquid::Object::new()).is_err());
    /// assert_eq!(session.get("step")?, None, "the write is taken back");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render<G: ObjectView + ?Sized>(
        &self,
        template: &Template,
        globals: &G,
    ) -> Result<String, Error> {
        self.render_bound(template, &self.bind(globals))
    }

    /// Renders a template with bound globals, to which [`Bound::with`] and [`Bound::lenient`] have
    /// added.
    ///
    /// If the render fails or panics, its writes are taken back.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Render`]: the template failed; the text is the engine's.
    /// - [`ErrorKind::Unavailable`], [`ErrorKind::Corrupt`]: a read of the session failed.
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

/// Takes back the writes since a savepoint when it is dropped, also by a panic of a filter.
struct Undo<'s>(&'s Session, Option<Savepoint>);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.1.take() {
            self.0.roll_back(&before);
        }
    }
}

/// Converts the failure of a template, with the engine's text.
impl From<liquid::Error> for Error {
    fn from(error: liquid::Error) -> Self {
        Self::with_source(
            ErrorKind::Render,
            error.to_string().trim_end().to_owned(),
            error,
        )
    }
}

/// Converts in the other direction, so that closures which render can return one type of error.
impl From<Error> for liquid::Error {
    fn from(error: Error) -> Self {
        Self::with_msg(error.to_string()).cause(error)
    }
}

/// The host's globals with the session as `context.session`; made by [`Session::bind`].
///
/// - A `context` object in the globals keeps its other fields: `context.params` and `context.session`
///   stand side by side.
/// - Every value that a template reads from the session stays in memory until this is dropped, up to
///   256 times `max_bytes` and at least a mebibyte. Bind again for each render.
pub struct Bound<'g, G: ?Sized> {
    pub(super) context: Context<'g, G>,
    /// The variables that [`with`](Self::with) added: mostly none, or one for a layout.
    pub(super) extra: Vec<(KString, Box<dyn ValueView + Send + 'g>)>,
}

impl<'g, G: ObjectView + ?Sized> Bound<'g, G> {
    /// Adds a variable, such as `content_for_layout`. It hides one of this name in the globals.
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

/// `context`: the session beside the host's own fields.
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
        own.filter(|name| !matches!(name.as_str(), SESSION | CURRENT_USER))
            .chain([SESSION, CURRENT_USER].map(KStringCow::from_static))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        matches!(name, SESSION | CURRENT_USER)
            || self.view.answers(name)
            || self.own().is_some_and(|own| own.contains_key(name))
    }

    fn member(&self, name: &str) -> Option<&dyn ValueView> {
        if name == SESSION {
            return Some(self.session());
        }
        let own = self.own().and_then(|own| own.get(name));
        match (own, name) {
            (None, CURRENT_USER) => self.view.current_user(),
            (own, _) => own,
        }
    }

    pub(super) fn session(&self) -> &dyn ValueView {
        if self.view.session().is_enabled() {
            &self.view
        } else {
            &NIL
        }
    }
}

/// Implements the views of an object of two layers by its `names`, `has` and `member`.
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
