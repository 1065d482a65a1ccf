//! `{% session key = value | filters %}`, its block form, and the registration of all tags and filters.

mod markup;
mod source;
mod write;

use liquid::partials::PartialCompiler;
use liquid_core::{
    BlockReflection, Language, ParseBlock, ParseTag, Renderable, Result, TagBlock, TagReflection,
    TagTokenIter, Template,
};

use markup::Markup;
use write::{Assign, Block, Clear};

use super::include::IncludeTag;
use super::nesting::Level;
use super::render::RenderTag;
use crate::template::filters::{HashKeys, Json, ParseJson, ToHash, ToJson, Uuid};

/// Registers the tags and filters with `liquid::ParserBuilder`.
///
/// - Call it after `with_stdlib()` or `stdlib()`. The later registration wins: it replaces liquid-rust's
///   `render` and `include`.
/// - Partials nest at most 100 levels deep, as in the reference engine: one that includes itself is an
///   error instead of a stack overflow. An `include` that the host registers afterwards has no such
///   limit.
///
/// | part | registered alone |
/// |---|---|
/// | the tag and its block form | `.block(SessionBlock::new())` |
/// | the tag without its block form | `.tag(SessionTag::new())` |
/// | `render` that shows `context` | `.tag(RenderTag)` |
/// | `include` with a limit | not possible |
/// | filters | `.filter(filters::Json)` and so on, see [`filters`](crate::template::filters) |
///
/// # Example
///
/// ```
/// use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
///
/// let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
/// let page = parser.parse("{% session color = params.color | downcase %}")?;
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// session.render(&page, &liquid::object!({ "params": { "color": "Dark" } }))?;
/// assert_eq!(session.get("color")?, Some("dark".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ParserBuilderExt {
    /// Registers the `session` tag with its block form, `render` that shows `context`, `include`, and
    /// the filters.
    ///
    /// An unknown variable in a session value is nil and **removes the key**, as on platformOS:
    /// `{% session cart = session.cart %}`, a typo for `context.session.cart`, empties the cart. An
    /// unknown root variable such as this is [counted](crate::Counters::unknown_variables) and an event.
    /// Use [`strict_sessions`](Self::strict_sessions) to make unknown variables errors.
    #[must_use]
    fn sessions(self) -> Self;

    /// Registers what [`sessions`](Self::sessions) does, with unknown variables in a session value as
    /// errors.
    ///
    /// Absent keys below `context.session` are nil here too.
    ///
    /// ```
    /// use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
    ///
    /// let parser = liquid::ParserBuilder::with_stdlib().strict_sessions().build()?;
    /// let typo = parser.parse("{% session cart = session.cart %}")?;
    /// let right = parser.parse("{% session cart = context.session.cart %}")?;
    /// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    /// let session = sessions.open(None);
    /// let globals = liquid::Object::new();
    /// assert!(session.render(&typo, &globals).is_err());
    /// assert!(session.render(&right, &globals).is_ok());
    /// # Ok::<(), liquid::Error>(())
    /// ```
    #[must_use]
    fn strict_sessions(self) -> Self;
}

impl<P: PartialCompiler> ParserBuilderExt for liquid::ParserBuilder<P> {
    fn sessions(self) -> Self {
        register(self, SessionBlock::new())
    }

    fn strict_sessions(self) -> Self {
        register(self, SessionBlock::new().strict())
    }
}

fn register<P: PartialCompiler>(
    builder: liquid::ParserBuilder<P>,
    session: SessionBlock,
) -> liquid::ParserBuilder<P> {
    builder
        .block(session)
        .tag(EndSession)
        .tag(RenderTag)
        .tag(IncludeTag)
        .filter(Json)
        .filter(ToJson)
        .filter(ParseJson)
        .filter(ToHash)
        .filter(HashKeys)
        .filter(Uuid)
}

const DESCRIPTION: &str =
    "store a value under a key of the visitor's session; a blank value removes the key";

/// The `session` tag without its block form, for `.tag(SessionTag::new())`.
///
/// | template | what happens |
/// |---|---|
/// | `{% session key = value \| filters %}` | stores the value, prints nothing |
/// | the value is nil, blank text, `[]` or `{}` | removes the key |
/// | the value is `false` or `0` | stores it |
/// | `{% session = null %}` | removes every key |
///
/// ```
/// use liquid_session::template::SessionTag;
///
/// let parser = liquid::ParserBuilder::with_stdlib().tag(SessionTag::new()).build()?;
/// assert!(parser.parse("{% session step = 2 %}").is_ok());
///
/// let error = parser.parse("{% session step == 2 %}").err().unwrap().to_string();
/// assert!(error.contains("1:17"), "{error}");
/// assert!(error.contains("`=` stores, `==` compares"), "{error}");
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionTag {
    strict: bool,
}

impl SessionTag {
    /// Creates the tag. Unknown variables in a value are nil, and remove the key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes unknown variables in a value errors.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { strict: true }
    }
}

impl TagReflection for SessionTag {
    fn tag(&self) -> &str {
        "session"
    }

    fn description(&self) -> &str {
        DESCRIPTION
    }
}

impl ParseTag for SessionTag {
    fn parse(
        &self,
        arguments: TagTokenIter<'_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        match Markup::parse(arguments, options, self.strict)? {
            Markup::Clear => Ok(Box::new(Clear)),
            Markup::Assign { key, source } => Ok(Box::new(Assign { key, source })),
            Markup::Block { key } => Err(key.error("expected `=` after the session key")),
        }
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

/// The `session` tag and its block form, for `.block(SessionBlock::new())`.
///
/// Does what [`SessionTag`] does. Without `=`, `{% session key %}…{% endsession %}` renders the body and
/// stores the text.
///
/// ```
/// use liquid_session::template::SessionBlock;
/// use liquid_session::{MemoryStore, SessionConfig, Sessions};
///
/// let parser = liquid::ParserBuilder::with_stdlib().block(SessionBlock::new()).build()?;
/// let page = parser.parse(
///     "{% session name = 'Ann' %}{% session greeting %}Hello {{ context.session.name }}{% endsession %}",
/// )?;
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let session = sessions.open(None);
/// let globals = liquid::Object::new();
/// assert_eq!(page.render(&session.bind(&globals))?, "");
/// assert_eq!(session.get("greeting")?, Some("Hello Ann".into()));
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionBlock {
    strict: bool,
}

impl SessionBlock {
    /// Creates the block. Unknown variables in a value are nil, and remove the key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes unknown variables in a value errors.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { strict: true }
    }
}

const END: &str = "endsession";

impl BlockReflection for SessionBlock {
    fn start_tag(&self) -> &str {
        "session"
    }

    fn end_tag(&self) -> &str {
        END
    }

    fn description(&self) -> &str {
        DESCRIPTION
    }
}

impl ParseBlock for SessionBlock {
    fn parse(
        &self,
        arguments: TagTokenIter<'_>,
        mut body: TagBlock<'_, '_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let key = match Markup::parse(arguments, options, self.strict)? {
            // Without a block form, the body is the rest of the page.
            Markup::Clear => return Ok(Box::new(Clear)),
            Markup::Assign { key, source } => return Ok(Box::new(Assign { key, source })),
            Markup::Block { key } => key,
        };
        let _level = Level::enter()?;
        match body.parse_all(options) {
            Ok(elements) => {
                body.assert_empty();
                Ok(Box::new(Block {
                    key: key.name,
                    body: Template::new(elements),
                }))
            }
            // The engine points at the tag after the block; the mistake is here.
            Err(error) if ends_too_late(&error.to_string()) => Err(key
                .error("no `{% endsession %}` for this block; to store a value the tag needs `=`")),
            Err(error) => Err(error),
        }
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

/// Returns whether the engine met the end of the file, or of a block around this one, in the body.
fn ends_too_late(problem: &str) -> bool {
    let requested = problem
        .lines()
        .find_map(|line| line.trim().strip_prefix("requested="));
    problem.contains("{% endsession %} tag expected")
        || requested
            .is_some_and(|tag| tag.starts_with("end") || ["else", "elsif", "when"].contains(&tag))
}

/// Explains an `{% endsession %}` that ends nothing.
#[derive(Clone, Copy, Debug)]
struct EndSession;

impl TagReflection for EndSession {
    fn tag(&self) -> &str {
        END
    }

    fn description(&self) -> &str {
        "end a `session` block"
    }
}

impl ParseTag for EndSession {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        _options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        Err(arguments.raise_error(
            "`{% endsession %}` ends a block that begins with `{% session key %}`, and there is none here; `{% session key = value %}` needs no end",
        ))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}
