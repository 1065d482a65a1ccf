//! `{% render %}`: liquid-rust's own, with `context` visible inside.

use std::collections::HashMap;
use std::io::Write;

use liquid_core::error::ResultLiquidExt as _;
use liquid_core::model::{KString, KStringRef, Value, ValueCow};
use liquid_core::parser::{TagToken, TryMatchToken};
use liquid_core::runtime::{GlobalFrame, Interrupt, InterruptRegister, SandboxedStackFrame};
use liquid_core::{
    Error, Expression, Language, ParseTag, Renderable, Result, Runtime, TagReflection,
    TagTokenIter, ValueView as _,
};
use liquid_lib::stdlib::{ForloopObject, Range, RangeExpression};

use super::literal::integer_beyond_i64;
use super::nesting::Level;
use crate::template::handoff;
use crate::template::view::CONTEXT;

/// The `render` tag of liquid-rust, except that the partial sees `context`, and with it the session.
///
/// - platformOS documents it so: "you can access global objects like `context`".
/// - All other variables are hidden from the partial, as in liquid-rust. Without a bound session,
///   `context` is hidden too.
/// - Partials nest at most 100 levels deep: one that renders itself is an error.
///
/// [`ParserBuilderExt::sessions`](crate::ParserBuilderExt::sessions) registers it in place of
/// liquid-rust's.
///
/// ```
/// use liquid::partials::{EagerCompiler, InMemorySource};
/// use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};
///
/// let mut partials = InMemorySource::new();
/// partials.add("row", "<li>{{ item }} for {{ context.session.name }}</li>");
/// let parser = liquid::ParserBuilder::with_stdlib()
///     .sessions()
///     .partials(EagerCompiler::new(partials))
///     .build()?;
/// let page = parser.parse("{% session name = 'Ann' %}{% render 'row', item: 'pear' %}")?;
///
/// let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
/// let globals = liquid::Object::new();
/// let html = page.render(&sessions.open(None).bind(&globals))?;
/// assert_eq!(html, "<li>pear for Ann</li>");
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RenderTag;

impl TagReflection for RenderTag {
    fn tag(&self) -> &str {
        "render"
    }

    fn description(&self) -> &str {
        "insert the rendered content of another template, which sees its arguments and `context`"
    }
}

impl ParseTag for RenderTag {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        _options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let partial = representable(arguments.expect_next("Identifier or literal expected.")?)?
            .expect_value()
            .into_result()?;

        let mut variables = Vec::new();
        let mut each = None;
        let mut token = arguments.next();
        match token.as_ref().map(|token| token.as_str()) {
            Some("with") => {
                let value = representable(arguments.expect_next("expected value")?)?
                    .expect_value()
                    .into_result()?;
                variables.push((expect_as(&mut arguments)?, value));
                token = arguments.next();
            }
            Some("for") => {
                let token_of_range =
                    representable(arguments.expect_next("Array or range expected.")?)?;
                let range = match token_of_range.expect_value() {
                    TryMatchToken::Matches(array) => RangeExpression::Array(array),
                    TryMatchToken::Fails(other) => {
                        let (start, stop) = other.expect_range().into_result()?;
                        RangeExpression::Counted(start, stop)
                    }
                };
                each = Some((range, expect_as(&mut arguments)?));
                token = arguments.next();
            }
            _ => {}
        }

        while let Some(comma) = token {
            comma
                .expect_str(",")
                .into_result_custom_msg("`,` is needed to separate variables")?;
            // One comma at the end is fine.
            let Some(name) = arguments.next() else { break };
            let name = KString::from_ref(name.expect_identifier().into_result()?);
            arguments
                .expect_next("\":\" expected.")?
                .expect_str(":")
                .into_result_custom_msg("expected \":\" to be used for the assignment")?;
            let value = representable(arguments.expect_next("expected value")?)?
                .expect_value()
                .into_result()?;
            variables.push((name, value));
            token = arguments.next();
        }
        arguments.expect_nothing()?;

        Ok(Box::new(Render {
            partial,
            each,
            variables,
        }))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

/// Returns the token, unless the engine would panic on a number in it.
fn representable(token: TagToken<'_>) -> Result<TagToken<'_>> {
    match integer_beyond_i64(token.as_str()) {
        Some(number) => {
            let problem = format!(
                "the whole number {number} is beyond what a template can hold ({} to {})",
                i64::MIN,
                i64::MAX
            );
            Err(token.raise_custom_error(&problem))
        }
        None => Ok(token),
    }
}

fn expect_as(arguments: &mut TagTokenIter<'_>) -> Result<KString> {
    arguments
        .expect_next("\"as\" expected.")?
        .expect_str("as")
        .into_result_custom_msg("expected \"as\" to be used for the assignment")?;
    let name = arguments
        .expect_next("expected identifier")?
        .expect_identifier()
        .into_result()?;
    Ok(KString::from_ref(name))
}

#[derive(Debug)]
struct Render {
    partial: Expression,
    each: Option<(RangeExpression, KString)>,
    variables: Vec<(KString, Expression)>,
}

/// The variables of the partial.
type Root<'r> = HashMap<KStringRef<'r>, ValueCow<'r>>;

impl Render {
    fn trace(&self) -> KString {
        format!("{{% render {} %}}", self.partial).into()
    }

    fn root<'r>(&'r self, runtime: &'r dyn Runtime) -> Result<Root<'r>> {
        let mut root = Root::new();
        // Only if it is ours: any other `context` stays hidden, as in liquid-rust.
        if handoff::visible_session(runtime).is_some()
            && let Some(context) = runtime.try_get(&[CONTEXT.into()])
        {
            root.insert(CONTEXT.into(), context);
        }
        for (name, expression) in &self.variables {
            let value = expression.try_evaluate(runtime).ok_or_else(|| {
                Error::with_msg(format!(
                    "the argument `{name}: {expression}` of this partial is unknown: expected a value; pass one, or nil"
                ))
                .context("partial", self.partial.to_string())
            })?;
            root.insert(name.as_ref(), value);
        }
        Ok(root)
    }

    /// Renders the partial once, in a sandbox, and returns the interrupt that left it.
    fn run(
        &self,
        name: &str,
        root: &Root<'_>,
        writer: &mut dyn Write,
        runtime: &dyn Runtime,
        describe: impl FnOnce() -> (KString, KString),
    ) -> Result<Option<Interrupt>> {
        let _level = Level::enter()?;
        let scope = GlobalFrame::new(SandboxedStackFrame::new(runtime, root));
        let partial = scope
            .partials()
            .get(name)
            .or_else(|_| scope.partials().get(&format!("{name}.liquid")))
            .trace_with(|| self.trace())?;
        partial.render_to(writer, &scope).map_err(|error| {
            let (key, value) = describe();
            error.trace(self.trace()).context(key, value)
        })?;
        let interrupt = scope.registers().get_mut::<InterruptRegister>().reset();
        Ok(interrupt)
    }
}

type Items<'r> = Box<dyn Iterator<Item = ValueCow<'r>> + 'r>;

/// Returns the number of items, and the items. Those of a range are counted one by one: a range can be
/// longer than memory.
fn items<'r>(range: &'r Range<'_>) -> Result<(usize, Items<'r>)> {
    let Range::Counted(first, last) = *range else {
        let items = range.evaluate()?;
        return Ok((items.len(), Box::new(items.into_iter())));
    };
    // The engine counts in i64.
    let length = (i128::from(last) - i128::from(first) + 1).clamp(0, i64::MAX.into());
    let numbers = (first..=last).map(|number| ValueCow::Owned(Value::scalar(number)));
    Ok((
        usize::try_from(length).unwrap_or(usize::MAX),
        Box::new(numbers),
    ))
}

impl Renderable for Render {
    fn render_to(&self, writer: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let partial = self.partial.evaluate(runtime)?;
        if !partial.is_scalar() {
            return Err(Error::with_msg("Can only `include` strings")
                .context("partial", partial.source().to_string()));
        }
        let name = partial.to_kstr().into_owned();

        let Some((range, item_name)) = &self.each else {
            let root = self.root(runtime)?;
            self.run(&name, &root, writer, runtime, || {
                (self.partial.to_string().into(), name.clone())
            })?;
            return Ok(());
        };

        let range = range.evaluate(runtime).trace_with(|| self.trace())?;
        let (length, items) = items(&range)?;
        for (index, item) in items.enumerate() {
            let forloop = ForloopObject::new(index, length);
            let mut root = self.root(runtime)?;
            root.insert("forloop".into(), ValueCow::Borrowed(&forloop));
            root.insert(item_name.as_ref(), item);
            let interrupt = self.run(&name, &root, writer, runtime, || {
                ("index".into(), format!("{}", index + 1).into())
            })?;
            if matches!(interrupt, Some(Interrupt::Break)) {
                break;
            }
        }
        Ok(())
    }
}
