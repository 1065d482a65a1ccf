//! `for`, `tablerow`, `cycle`, `ifchanged`, `break` and `continue`.

use std::collections::HashMap;
use std::io::Write;

use liquid_core::ValueView;
use liquid_core::model::{KString, ObjectView as _};
use liquid_core::{Result, Runtime, ValueCow};

use super::super::expression::Expr;
use super::super::frames::Loop;
use super::super::markup::{Brackets, Markup};
use super::super::node::{Body, Flow, Node, Scope, unwritten};
use super::super::parse::{Parsed, Parser};
use super::super::scan::Tag;
use super::super::values::{self, Kind, kind};

/// What a loop goes over.
#[derive(Debug)]
struct Collection {
    variable: KString,
    source: Expr,
    limit: Option<Expr>,
    offset: Offset,
    reversed: bool,
    /// `item-products`: `forloop.name`, and the key of `offset: continue`.
    name: KString,
}

#[derive(Debug)]
enum Offset {
    None,
    Value(Expr),
    Continue,
}

/// Where `offset: continue` goes on, by the name of the loop.
#[derive(Debug, Default)]
struct Offsets(HashMap<KString, i64>);

/// `x in xs`, and the arguments after it; the others are `other`'s.
fn parse_collection(
    markup: &mut Markup<'_>,
    other: &[&str],
    form: &str,
) -> Result<(Collection, Vec<(KString, Expr)>)> {
    let variable = markup.lax_name("the variable of the loop")?;
    if !markup.eat_word("in") {
        let found = markup.found();
        return Err(markup.error(&format!("expected `in`, found {found}; write {form}")));
    }
    markup.peek();
    let start = markup.position();
    let source = markup.value(Brackets::Array)?;
    let name = KString::from_string(format!("{variable}-{}", markup.text_from(start)));
    let mut collection = Collection {
        variable,
        source,
        limit: None,
        offset: Offset::None,
        reversed: false,
        name,
    };
    let mut others = Vec::new();
    while !markup.is_end() {
        markup.eat(",");
        if markup.eat_word("reversed") {
            collection.reversed = true;
            continue;
        }
        let word = markup.peek_word().to_owned();
        if !["limit", "offset"].contains(&word.as_str()) && !other.contains(&word.as_str()) {
            markup.expect_end(form)?;
            break;
        }
        markup.eat_word(&word);
        if !markup.eat(":") {
            let found = markup.found();
            return Err(markup.error(&format!("expected `:` after `{word}`, found {found}")));
        }
        if word == "offset" && markup.eat_word("continue") {
            collection.offset = Offset::Continue;
            continue;
        }
        let value = markup.value(Brackets::Lookup)?;
        match word.as_str() {
            "limit" => collection.limit = Some(value),
            "offset" => collection.offset = Offset::Value(value),
            _ => others.push((KString::from_string(word), value)),
        }
    }
    Ok((collection, others))
}

/// The items of one run.
enum Items<'c> {
    /// Numbers are counted one by one: a range can be longer than memory.
    Numbers {
        first: i64,
        length: usize,
    },
    Views(Vec<ValueCow<'c>>),
}

impl Items<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Numbers { length, .. } => *length,
            Self::Views(items) => items.len(),
        }
    }
}

/// A part of a sequence: where it begins, and how long it is at most.
#[derive(Clone, Copy)]
struct Segment {
    from: usize,
    limit: usize,
}

impl Collection {
    fn segment(&self, runtime: &dyn Runtime, to_integer: ToInteger) -> Result<Segment> {
        let from = match &self.offset {
            Offset::None => 0,
            Offset::Continue => {
                let offsets = runtime.registers().get_mut::<Offsets>();
                offsets.0.get(&self.name).copied().unwrap_or_default()
            }
            Offset::Value(offset) => {
                let offset = offset.evaluate(runtime)?;
                if offset.is_nil() {
                    0
                } else {
                    to_integer(offset.as_view())?
                }
            }
        };
        let limit = match &self.limit {
            None => None,
            Some(limit) => {
                let limit = limit.evaluate(runtime)?;
                if limit.is_nil() {
                    None
                } else {
                    Some(to_integer(limit.as_view())?)
                }
            }
        };
        let size = |number: i64| usize::try_from(number.max(0)).unwrap_or(usize::MAX);
        Ok(Segment {
            from: size(from),
            limit: limit.map_or(usize::MAX, size),
        })
    }

    /// Evaluates the collection and runs with the items of this segment, in the loop's order.
    fn items<T>(
        &self,
        scope: Scope<'_>,
        Segment { from, limit }: Segment,
        run: impl FnOnce(Items<'_>) -> Result<T>,
    ) -> Result<T> {
        if let Some((first, last)) = self.source.range(scope.runtime)? {
            let length = (i128::from(last) - i128::from(first) + 1).max(0);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let first = first.saturating_add(i64::try_from(from).unwrap_or(i64::MAX));
            let length = length.saturating_sub(from).min(limit);
            return run(Items::Numbers { first, length });
        }
        let value = self.source.evaluate(scope.runtime)?;
        let mut items = match kind(value.as_view()) {
            Kind::Array(items) => {
                let items = items.values().skip(from).take(limit);
                items.map(ValueCow::Borrowed).collect()
            }
            Kind::Object(object) => {
                let pairs = values::pairs(object).into_iter().skip(from).take(limit);
                pairs.map(ValueCow::Owned).collect()
            }
            // A text is one item, also behind an offset.
            Kind::String(text) if !text.is_empty() => vec![ValueCow::Borrowed(value.as_view())],
            _ => Vec::new(),
        };
        if self.reversed {
            items.reverse();
        }
        run(Items::Views(items))
    }

    /// Calls `body` with each item and how many came before it.
    fn each(
        &self,
        items: &Items<'_>,
        mut body: impl FnMut(usize, &dyn ValueView) -> Result<Flow>,
    ) -> Result<Flow> {
        let length = items.len();
        for index in 0..length {
            let flow = match items {
                Items::Numbers { first, .. } => {
                    let step = if self.reversed {
                        length - 1 - index
                    } else {
                        index
                    };
                    let step = i64::try_from(step).unwrap_or(i64::MAX);
                    body(index, &first.saturating_add(step))?
                }
                Items::Views(items) => body(index, items[index].as_view())?,
            };
            match flow {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                Flow::Return => return Ok(Flow::Return),
            }
        }
        Ok(Flow::Next)
    }
}

type ToInteger = fn(&dyn ValueView) -> Result<i64>;

#[derive(Debug)]
struct For {
    collection: Collection,
    body: Body,
    otherwise: Option<Body>,
}

const FOR: &str = "{% for item in items reversed limit: 3 offset: 1 %}";

pub(super) fn parse_for(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let mut markup = parser.markup(tag);
    let (collection, _) = parse_collection(&mut markup, &[], FOR)?;
    let mut branches = parser.branches(tag, &["else"], "endfor")?.into_iter();
    let body = branches.next().map(|(_, body)| body).unwrap_or_default();
    let otherwise = branches.next().map(|(_, body)| body);
    let blank = body.blank && otherwise.as_ref().is_none_or(|body| body.blank);
    Ok(Parsed {
        node: Box::new(For {
            collection,
            body,
            otherwise,
        }),
        blank,
    })
}

/// What a template sees as `forloop`.
#[derive(Clone, Debug, liquid_core::model::ValueView, liquid_core::model::ObjectView)]
struct Forloop<'p> {
    name: KString,
    length: i64,
    index: i64,
    index0: i64,
    rindex: i64,
    rindex0: i64,
    first: bool,
    last: bool,
    parentloop: Option<&'p dyn ValueView>,
}

impl<'p> Forloop<'p> {
    fn new(name: KString, length: usize, parentloop: Option<&'p dyn ValueView>) -> Self {
        Self {
            name,
            length: i64::try_from(length).unwrap_or(i64::MAX),
            parentloop,
            index: 0,
            index0: 0,
            rindex: 0,
            rindex0: 0,
            first: false,
            last: false,
        }
    }

    fn at(&mut self, index: usize) {
        self.index0 = i64::try_from(index).unwrap_or(i64::MAX);
        self.index = self.index0.saturating_add(1);
        self.rindex0 = self.length - self.index;
        self.rindex = self.length - self.index0;
        self.first = index == 0;
        self.last = self.index == self.length;
    }
}

const FORLOOP: &str = "forloop";

impl Node for For {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let collection = &self.collection;
        let segment = collection.segment(scope.runtime, values::integer)?;
        collection.items(scope, segment, |items| {
            let length = items.len();
            let end = i64::try_from(segment.from.saturating_add(length)).unwrap_or(i64::MAX);
            scope
                .runtime
                .registers()
                .get_mut::<Offsets>()
                .0
                .insert(collection.name.clone(), end);
            if length == 0 {
                return match &self.otherwise {
                    Some(body) => body.render(out, scope),
                    None => Ok(Flow::Next),
                };
            }
            let parent = scope.runtime.try_get(&[FORLOOP.into()]);
            let parent = parent.as_ref().map(ValueCow::as_view);
            let mut forloop = Forloop::new(collection.name.clone(), length, parent);
            collection.each(&items, |index, item| {
                forloop.at(index);
                let frame = Loop {
                    parent: scope.runtime,
                    name: collection.variable.as_str(),
                    item,
                    state: (FORLOOP, &forloop),
                };
                self.body.render(out, scope.with(&frame))
            })
        })
    }
}

/// The loop object of `render … for`.
pub(super) fn each_item(
    items: &[ValueCow<'_>],
    name: &str,
    mut run: impl FnMut(&dyn ValueView, Option<&dyn ValueView>) -> Result<()>,
) -> Result<()> {
    let mut forloop = Forloop::new(KString::from_ref(name), items.len(), None);
    for (index, item) in items.iter().enumerate() {
        forloop.at(index);
        run(item.as_view(), Some(&forloop))?;
    }
    Ok(())
}

#[derive(Debug)]
struct Tablerow {
    collection: Collection,
    cols: Option<Expr>,
    body: Body,
}

const TABLEROW: &str = "{% tablerow item in items cols: 2 limit: 3 offset: 1 %}";

pub(super) fn parse_tablerow(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let mut markup = parser.markup(tag);
    let (collection, others) = parse_collection(&mut markup, &["cols", "range"], TABLEROW)?;
    let cols = others
        .into_iter()
        .rev()
        .find(|(name, _)| name == "cols")
        .map(|(_, cols)| cols);
    let body = parser.body(tag, "endtablerow")?;
    Ok(Parsed::new(Tablerow {
        collection,
        cols,
        body,
    }))
}

/// What a template sees as `tablerowloop`.
#[derive(Clone, Debug, liquid_core::model::ValueView, liquid_core::model::ObjectView)]
struct Tablerowloop {
    length: i64,
    row: i64,
    col: i64,
    col0: i64,
    index: i64,
    index0: i64,
    rindex: i64,
    rindex0: i64,
    first: bool,
    last: bool,
    col_first: bool,
    col_last: bool,
}

/// Ruby's `to_i`, which takes nil for 0.
fn to_i(value: &dyn ValueView) -> Result<i64> {
    match kind(value) {
        Kind::Nil => Ok(0),
        Kind::Int(number) => Ok(number),
        Kind::Float(number) => Ok(number as i64),
        Kind::String(text) => Ok(values::leading_integer(&text)),
        _ => Err(values::expected("a whole number", value)),
    }
}

impl Node for Tablerow {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let segment = self.collection.segment(scope.runtime, to_i)?;
        if self.collection.source.range(scope.runtime)?.is_none()
            && !values::truthy(self.collection.source.evaluate(scope.runtime)?.as_view())
        {
            return Ok(Flow::Next);
        }
        self.collection.items(scope, segment, |items| {
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let cols = match &self.cols {
                Some(cols) => to_i(cols.evaluate(scope.runtime)?.as_view())?,
                None => length,
            };
            let (mut row, mut col) = (1, 0);
            out.write_all(b"<tr class=\"row1\">\n").map_err(unwritten)?;
            let flow = self.collection.each(&items, |index, item| {
                let index0 = i64::try_from(index).unwrap_or(i64::MAX);
                if col == cols && index > 0 {
                    row += 1;
                    col = 0;
                    write!(out, "</tr>\n<tr class=\"row{row}\">").map_err(unwritten)?;
                }
                col += 1;
                let state = Tablerowloop {
                    length,
                    row,
                    col,
                    col0: col - 1,
                    index: index0 + 1,
                    index0,
                    rindex: length - index0,
                    rindex0: length - index0 - 1,
                    first: index == 0,
                    last: index0 + 1 == length,
                    col_first: col == 1,
                    col_last: col == cols,
                };
                let frame = Loop {
                    parent: scope.runtime,
                    name: self.collection.variable.as_str(),
                    item,
                    state: ("tablerowloop", &state),
                };
                write!(out, "<td class=\"col{col}\">").map_err(unwritten)?;
                let flow = self.body.render(out, scope.with(&frame))?;
                out.write_all(b"</td>").map_err(unwritten)?;
                Ok(flow)
            })?;
            out.write_all(b"</tr>\n").map_err(unwritten)?;
            Ok(flow)
        })
    }
}

#[derive(Debug)]
struct Cycle {
    group: Group,
    values: Vec<Expr>,
}

#[derive(Debug)]
enum Group {
    Named(Expr),
    /// Cycles of the same literals go on together; one with variables stands for itself.
    Own(String),
}

/// How far each cycle is.
#[derive(Debug, Default)]
struct Cycles(HashMap<String, usize>);

pub(super) fn parse_cycle(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let mut markup = parser.markup(tag);
    let first = markup.value(Brackets::Lookup)?;
    let mut values = Vec::new();
    let name = if markup.eat(":") {
        values.push(markup.value(Brackets::Lookup)?);
        Some(first)
    } else {
        values.push(first);
        None
    };
    while markup.eat(",") && !markup.is_end() {
        values.push(markup.value(Brackets::Lookup)?);
    }
    markup.expect_end("{% cycle 'group': 'one', 'two' %}")?;
    let group = match name {
        Some(name) => Group::Named(name),
        None => {
            let text = parser.source.get(tag.markup);
            let literal = values.iter().all(|value| matches!(value, Expr::Literal(_)));
            Group::Own(if literal {
                text.to_owned()
            } else {
                format!("{}:{text}", tag.all.start)
            })
        }
    };
    Ok(Parsed::new(Cycle { group, values }))
}

impl Node for Cycle {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let group = match &self.group {
            Group::Named(name) => {
                let name = name.evaluate(scope.runtime)?;
                format!("={}", values::text(name.as_view()))
            }
            Group::Own(group) => group.clone(),
        };
        let at = {
            let mut cycles = scope.runtime.registers().get_mut::<Cycles>();
            let next = cycles.0.entry(group).or_default();
            let at = *next;
            *next = if at + 1 >= self.values.len() {
                0
            } else {
                at + 1
            };
            at
        };
        if let Some(value) = self.values.get(at) {
            values::print(value.evaluate(scope.runtime)?.as_view(), out)?;
        }
        Ok(Flow::Next)
    }
}

#[derive(Debug)]
struct Ifchanged(Body);

/// What `ifchanged` printed last.
#[derive(Debug, Default)]
struct Printed(String);

pub(super) fn parse_ifchanged(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    parser.markup(tag).expect_end("{% ifchanged %}")?;
    let body = parser.body(tag, "endifchanged")?;
    let blank = body.blank;
    Ok(Parsed {
        node: Box::new(Ifchanged(body)),
        blank,
    })
}

impl Node for Ifchanged {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let (text, flow) = self.0.capture(scope)?;
        let mut printed = scope.runtime.registers().get_mut::<Printed>();
        if printed.0 != text {
            out.write_all(text.as_bytes()).map_err(unwritten)?;
            printed.0 = text;
        }
        Ok(flow)
    }
}

#[derive(Debug)]
struct Leave(Flow);

pub(super) fn parse_interrupt(parser: &mut Parser<'_>, tag: Tag, name: &str) -> Result<Parsed> {
    parser.markup(tag).expect_end(&format!("{{% {name} %}}"))?;
    let flow = if name == "break" {
        Flow::Break
    } else {
        Flow::Continue
    };
    Ok(Parsed::new(Leave(flow)))
}

impl Node for Leave {
    fn render(&self, _out: &mut dyn Write, _scope: Scope<'_>) -> Result<Flow> {
        Ok(self.0)
    }
}
