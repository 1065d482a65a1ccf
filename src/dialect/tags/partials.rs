//! `include`, `render`, `function` and `return`.

use std::borrow::Cow;
use std::io::Write;

use liquid_core::model::KString;
use liquid_core::{Language, Result, Runtime, Value, ValueCow, ValueView};

use super::super::expression::{Chain, Expr};
use super::super::frames::{Isolated, Variables, Vars};
use super::super::markup::{Brackets, Markup};
use super::super::node::{Flow, Level, Node, PARTIALS, Returned, Scope, raised};
use super::super::parse::{Parsed, Parser};
use super::super::scan::Tag;
use super::super::values::{self, Kind, kind};
use super::loops::each_item;
use super::variables::Target;

/// A partial and what it is given.
#[derive(Debug)]
struct Call {
    partial: Expr,
    /// `with value` or `for values`.
    subject: Option<(Subject, Expr)>,
    alias: Option<KString>,
    arguments: Vec<(KString, Expr)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    With,
    For,
}

impl Call {
    fn parse(markup: &mut Markup<'_>) -> Result<Self> {
        let partial = markup.value(Brackets::Lookup)?;
        let mut subject = None;
        for (word, kind) in [("with", Subject::With), ("for", Subject::For)] {
            if markup.eat_word(word) {
                // `with: value` is an argument of that name.
                if markup.eat(":") {
                    let value = markup.value(Brackets::Array)?;
                    let mut arguments = vec![(KString::from_ref(word), value)];
                    arguments.extend(markup.lax_arguments()?);
                    return Ok(Self {
                        partial,
                        subject: None,
                        alias: None,
                        arguments,
                    });
                }
                subject = Some((kind, markup.value(Brackets::Array)?));
                break;
            }
        }
        let alias = if subject.is_some() && markup.eat_word("as") {
            Some(markup.lax_name("a name after `as`")?)
        } else {
            None
        };
        let arguments = markup.lax_arguments()?;
        Ok(Self {
            partial,
            subject,
            alias,
            arguments,
        })
    }

    fn name(&self, runtime: &dyn Runtime) -> Result<String> {
        let name = self.partial.evaluate(runtime)?;
        match kind(name.as_view()) {
            Kind::String(name) => Ok(name.into_owned()),
            _ => Err(values::expected("the name of a partial", name.as_view())),
        }
    }

    /// The variable that the subject is called in the partial.
    fn variable<'n>(&'n self, name: &'n str) -> &'n str {
        match &self.alias {
            Some(alias) => alias.as_str(),
            None => name.rsplit('/').next().unwrap_or(name),
        }
    }

    fn arguments<'r>(&'r self, runtime: &'r dyn Runtime) -> Result<Vars<'r>> {
        let mut vars = Vars::new();
        for (name, value) in &self.arguments {
            vars.push((Cow::Borrowed(name.as_str()), value.evaluate(runtime)?));
        }
        Ok(vars)
    }
}

/// Renders a partial with this runtime.
fn run(name: &str, out: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
    let _level = Level::enter(&PARTIALS)?;
    let partials = runtime.partials();
    let partial = if partials.contains(name) {
        partials.get(name)
    } else {
        let file = format!("{name}.liquid");
        // For the message: the name as the author wrote it.
        partials.get(if partials.contains(&file) {
            &file
        } else {
            name
        })
    };
    partial
        .and_then(|partial| partial.render_to(out, runtime))
        .map_err(|error| error.trace(format!("partial `{name}`")))
}

/// The items of a subject that is gone through, borrowed.
fn items<'v>(value: &'v ValueCow<'_>) -> Option<Vec<ValueCow<'v>>> {
    match kind(value.as_view()) {
        Kind::Array(items) => Some(items.values().map(ValueCow::Borrowed).collect()),
        _ => None,
    }
}

#[derive(Debug)]
struct Include(Call);

pub(super) fn parse_include(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    Call::parse(&mut parser.markup(tag)).map(|call| Parsed::new(Include(call)))
}

impl Node for Include {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let Self(call) = self;
        let name = call.name(scope.runtime)?;
        let arguments = call.arguments(scope.runtime)?;
        let subject = match &call.subject {
            Some((_, subject)) => Some(subject.evaluate(scope.runtime)?),
            // A variable that is called like the partial.
            None => scope.runtime.try_get(&[name.as_str().into()]),
        };
        let variable = call.variable(&name);
        let mut once = |subject: Option<&dyn ValueView>| {
            let mut vars = arguments.clone();
            if let Some(subject) = subject.filter(|subject| !subject.is_nil()) {
                vars.push((Cow::Borrowed(variable), ValueCow::Borrowed(subject)));
            }
            let frame = Variables::new(scope.runtime, vars);
            run(&name, out, &frame)?;
            Ok(raised(scope.runtime))
        };
        // Ruby goes through an array, `with` or `for`.
        if let Some(items) = subject.as_ref().and_then(items) {
            for item in &items {
                match once(Some(item.as_view()))? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                }
            }
            return Ok(Flow::Next);
        }
        once(subject.as_ref().map(ValueCow::as_view))
    }
}

#[derive(Debug)]
struct Render(Call);

pub(super) fn parse_render(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    Call::parse(&mut parser.markup(tag)).map(|call| Parsed::new(Render(call)))
}

impl Node for Render {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let Self(call) = self;
        let name = call.name(scope.runtime)?;
        let subject = match &call.subject {
            Some((kind, subject)) => Some((*kind, subject.evaluate(scope.runtime)?)),
            None => None,
        };
        let variable = call.variable(&name);
        let mut once = |item: &dyn ValueView, forloop: Option<&dyn ValueView>| {
            let mut vars = Vars::new();
            if let Some(forloop) = forloop {
                vars.push((Cow::Borrowed("forloop"), ValueCow::Borrowed(forloop)));
            }
            vars.extend(call.arguments(scope.runtime)?);
            if !item.is_nil() {
                vars.push((Cow::Borrowed(variable), ValueCow::Borrowed(item)));
            }
            // How the partial was left stays in the frame's own registers.
            run(&name, out, &Isolated::new(scope.runtime, vars))
        };
        match &subject {
            Some((Subject::For, value)) if let Some(items) = items(value) => {
                each_item(&items, &name, once)?;
            }
            Some((_, value)) => once(value.as_view(), None)?,
            None => once(&Value::Nil, None)?,
        }
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Function {
    target: Target,
    call: Call,
}

pub(super) fn parse_function(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let mut markup = parser.markup(tag);
    let form = "{% function name = 'path/to/partial', argument: value %}";
    let target = Target::parse_assigned(&mut markup, form)?;
    let call = Call::parse(&mut markup)?;
    Ok(Parsed::silent(Function { target, call }))
}

impl Node for Function {
    fn render(&self, _out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let name = self.call.name(scope.runtime)?;
        let frame = Isolated::new(scope.runtime, self.call.arguments(scope.runtime)?);
        // A function prints nothing.
        run(&name, &mut std::io::sink(), &frame)?;
        let returned = frame.registers().get_mut::<Returned>().0.take();
        self.target
            .set(scope.runtime, returned.unwrap_or_default())?;
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Return(Option<Chain>);

pub(super) fn parse_return(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let options: &Language = parser.options;
    let mut markup = parser.markup(tag);
    let value = if markup.is_end() {
        None
    } else {
        Some(markup.chain_or_condition(options)?)
    };
    markup.expect_end("{% return value | filter %}")?;
    Ok(Parsed::silent(Return(value)))
}

impl Node for Return {
    fn render(&self, _out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let value = match &self.0 {
            Some(value) => scope.evaluate(value)?.into_owned(),
            None => Default::default(),
        };
        scope.runtime.registers().get_mut::<Returned>().0 = Some(value);
        Ok(Flow::Return)
    }
}
