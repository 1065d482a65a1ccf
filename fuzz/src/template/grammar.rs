//! What a plan is made of. Bounded in depth, since the engine's own parser recurses.

use arbitrary::{Arbitrary, Result, Unstructured};

const DEPTH: usize = 4;

/// Some requests of one visitor, one after the other.
#[derive(Debug)]
pub struct Plan {
    /// Unknown variables in a session tag are errors.
    pub(super) strict: bool,
    /// Limits that are soon reached.
    pub(super) small: bool,
    /// What is set before the first request, from the program.
    pub(super) before: Vec<(Key, Literal)>,
    /// Each may use those after it.
    pub(super) partials: [Vec<Node>; PARTIALS],
    pub(super) requests: Vec<Request>,
}

pub(super) const PARTIALS: usize = 2;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) page: Vec<Node>,
    pub(super) layout: Option<Vec<Node>>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($word:literal)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct $name(pub(super) &'static str);

        impl<'a> Arbitrary<'a> for $name {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                u.choose(&[$($word),+]).copied().map(Self)
            }
        }
    };
}

words!(
    /// A key of the session.
    Key: "a" "b" "cart" "n" "empty_cart" "nil_ok" "x-y"
);
words!(
    /// A variable of the template.
    Name: "v" "w" "item"
);
words!(
    /// A text that fits between single quotes.
    Text: "" " " "a" "b" "x y" "a,b,c" "1" "-7" "ünï" "true" "<b>" "cart" "size" "2026-01-02"
        "{\"a\": [1, true, null]}" "[1.5, \"x\"]" "{\"a\": {\"b\": \"c\"}, \"n\": 2}" "[]" "{\"\": 1}"
        "long enough to go over a limit when there are some of these in one session"
);
words!(Number: "1.5" "-0.5" "2.0" "0.1");

#[derive(Clone, Copy, Debug, PartialEq, Arbitrary)]
pub(super) enum Literal {
    Nil,
    Blank,
    Empty,
    Bool(bool),
    Int(i8),
    Long(i64),
    Float(Number),
    Text(Text),
}

/// One step below a value.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub(super) enum Step {
    Key(Key),
    Size,
    First,
    Last,
    At(i8),
    /// The value of a variable.
    By(Name),
}

#[derive(Clone, Debug)]
pub(super) enum Root {
    /// `context.session`.
    Session,
    /// `params`, the caller's.
    Params,
    Variable(Name),
    /// What the page printed.
    Content,
    /// What nobody knows.
    Nowhere,
}

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Literal(Literal),
    Path(Root, Vec<Step>),
}

#[derive(Clone, Debug)]
pub(super) enum Filter {
    Upcase,
    Append(Text),
    Prepend(Text),
    Size,
    First,
    Last,
    Split(Text),
    Join(Text),
    Json,
    ParseJson,
    HashKeys,
    Default(Expr),
    Plus(Literal),
    Times(Literal),
}

#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) value: Expr,
    pub(super) filters: Vec<Filter>,
}

#[derive(Clone, Debug)]
pub(super) enum Condition {
    Exists(Expr),
    Equal(Expr, Expr),
    Unequal(Expr, Expr),
    Less(Expr, Expr),
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Text),
    Output(Chain),
    Write(Key, Chain),
    WriteBlock(Key, Vec<Node>),
    Clear,
    Assign(Name, Chain),
    Capture(Name, Vec<Node>),
    If(Condition, Vec<Node>, Vec<Node>),
    Unless(Condition, Vec<Node>),
    For(Name, Expr, Vec<Node>),
    Include(usize),
    Render(usize, Name, Expr),
    RenderFor(usize, Expr, Name),
}

/// What may stand in a place.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// The first partial that may be used.
    partial: usize,
}

impl Place {
    fn deeper(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

fn some<T>(
    u: &mut Unstructured<'_>,
    most: usize,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while all.len() < most && !u.is_empty() && u.ratio(3, 4)? {
        all.push(one(u)?);
    }
    Ok(all)
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut partials: [Vec<Node>; PARTIALS] = Default::default();
        let flags: u8 = u.arbitrary()?;
        let before = some(u, 4, |u| Ok((u.arbitrary()?, u.arbitrary()?)))?;
        let place = Place {
            depth: 0,
            partial: 0,
        };
        let mut requests = some(u, 3, |u| {
            let page = nodes(u, place)?;
            let layout = if u.ratio(1, 4)? {
                Some(nodes(u, place)?)
            } else {
                None
            };
            Ok(Request { page, layout })
        })?;
        if requests.is_empty() {
            requests.push(Request {
                page: Vec::new(),
                layout: None,
            });
        }
        for (n, partial) in partials.iter_mut().enumerate() {
            let place = Place {
                depth: 1,
                partial: n + 1,
            };
            *partial = nodes(u, place)?;
        }
        Ok(Self {
            strict: flags & 1 != 0,
            small: flags & 2 != 0,
            before,
            partials,
            requests,
        })
    }
}

fn nodes(u: &mut Unstructured<'_>, place: Place) -> Result<Vec<Node>> {
    some(u, 8, |u| node(u, place))
}

fn node(u: &mut Unstructured<'_>, place: Place) -> Result<Node> {
    let blocks = if place.depth < DEPTH { 13 } else { 8 };
    Ok(match u.int_in_range(0..=blocks)? {
        0 => Node::Text(u.arbitrary()?),
        1 | 2 => Node::Output(chain(u)?),
        3 | 4 => Node::Write(u.arbitrary()?, chain(u)?),
        5 => Node::Assign(u.arbitrary()?, chain(u)?),
        6 if u.ratio(1, 4)? => Node::Clear,
        6..=8 if place.partial < PARTIALS => {
            let partial = u.int_in_range(place.partial..=PARTIALS - 1)?;
            match u.int_in_range(0..=2)? {
                0 => Node::Include(partial),
                1 => Node::Render(partial, u.arbitrary()?, expr(u)?),
                _ => Node::RenderFor(partial, expr(u)?, u.arbitrary()?),
            }
        }
        6..=8 => Node::Output(chain(u)?),
        9 => Node::WriteBlock(u.arbitrary()?, nodes(u, place.deeper())?),
        10 => Node::Capture(u.arbitrary()?, nodes(u, place.deeper())?),
        11 => Node::If(
            condition(u)?,
            nodes(u, place.deeper())?,
            nodes(u, place.deeper())?,
        ),
        12 => Node::Unless(condition(u)?, nodes(u, place.deeper())?),
        _ => Node::For(u.arbitrary()?, expr(u)?, nodes(u, place.deeper())?),
    })
}

fn chain(u: &mut Unstructured<'_>) -> Result<Chain> {
    let value = expr(u)?;
    let mut filters = Vec::new();
    while filters.len() < 4 && !u.is_empty() && u.ratio(1, 3)? {
        filters.push(filter(u)?);
    }
    Ok(Chain { value, filters })
}

fn filter(u: &mut Unstructured<'_>) -> Result<Filter> {
    Ok(match u.int_in_range(0..=13)? {
        0 => Filter::Upcase,
        1 => Filter::Append(u.arbitrary()?),
        2 => Filter::Prepend(u.arbitrary()?),
        3 => Filter::Size,
        4 => Filter::First,
        5 => Filter::Last,
        6 => Filter::Split(u.arbitrary()?),
        7 => Filter::Join(u.arbitrary()?),
        8 => Filter::Json,
        9 => Filter::ParseJson,
        10 => Filter::HashKeys,
        11 => Filter::Default(expr(u)?),
        12 => Filter::Plus(u.arbitrary()?),
        _ => Filter::Times(u.arbitrary()?),
    })
}

fn condition(u: &mut Unstructured<'_>) -> Result<Condition> {
    Ok(match u.int_in_range(0..=3)? {
        0 => Condition::Exists(expr(u)?),
        1 => Condition::Equal(expr(u)?, expr(u)?),
        2 => Condition::Unequal(expr(u)?, expr(u)?),
        _ => Condition::Less(expr(u)?, expr(u)?),
    })
}

fn expr(u: &mut Unstructured<'_>) -> Result<Expr> {
    let root = match u.int_in_range(0..=11)? {
        0..=2 => return u.arbitrary().map(Expr::Literal),
        3..=7 => Root::Session,
        8 => Root::Params,
        9 | 10 => Root::Variable(u.arbitrary()?),
        _ if u.ratio(1, 2)? => Root::Content,
        _ => Root::Nowhere,
    };
    let mut steps = Vec::new();
    if matches!(root, Root::Session) && u.ratio(9, 10)? {
        steps.push(Step::Key(u.arbitrary()?));
    }
    while steps.len() < 4 && !u.is_empty() && u.ratio(1, 4)? {
        steps.push(u.arbitrary()?);
    }
    Ok(Expr::Path(root, steps))
}
