//! Renders a plan over plain maps.

use super::grammar::{Chain, Condition, Expr, Filter, Node, Plan, Root, Step};
use super::value::{Map, Result, Stop, Value};

/// More than this is not rendered: the engine has no bounds of its own.
const MOST_NODES: usize = 2_000;
const MOST_TEXT: usize = 20_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) keys: usize,
}

/// The session as the model has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Session {
    pub(super) map: Map,
    /// Whether a write was tried that stands.
    pub(super) written: bool,
}

impl Session {
    pub(super) fn set(&mut self, key: &str, value: &Value, limits: Limits) -> Result<()> {
        self.written = true;
        let Some(value) = value.to_store() else {
            self.map.remove(key);
            return Ok(());
        };
        if !finite(&value) || !shallow(&value, 32) {
            return Err(Stop::Fails);
        }
        let before = self.map.insert(key.to_owned(), value);
        let bytes: usize = self
            .map
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if bytes > limits.bytes || self.map.len() > limits.keys {
            match before {
                Some(before) => self.map.insert(key.to_owned(), before),
                None => self.map.remove(key),
            };
            return Err(Stop::Fails);
        }
        Ok(())
    }
}

fn finite(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::Array(items) => items.iter().all(finite),
        Value::Object(entries) => entries.values().all(finite),
        _ => true,
    }
}

fn shallow(value: &Value, levels: usize) -> bool {
    let below = |value| levels > 0 && shallow(value, levels - 1);
    match value {
        Value::Array(items) => items.iter().all(below),
        Value::Object(entries) => entries.values().all(below),
        _ => true,
    }
}

/// What a name stands for.
#[derive(Clone, Debug)]
enum Bound {
    Value(Value),
    /// A value as it lies in the session: what is absent below it is nil.
    Lent(Value),
    /// The session itself.
    Session,
}

/// One render.
pub(super) struct Render<'p> {
    pub(super) plan: &'p Plan,
    pub(super) limits: Limits,
    pub(super) session: Session,
    params: Value,
    content: Option<String>,
    out: String,
    nodes: usize,
}

/// The names that a place sees: the innermost last.
#[derive(Default)]
struct Names {
    loops: Vec<(String, Bound)>,
    assigned: Vec<(String, Value)>,
    /// What `render` hands over.
    given: Vec<(String, Bound)>,
    /// In a partial of `render`, the caller's own are hidden.
    sandboxed: bool,
}

impl Names {
    fn get(&self, name: &str) -> Option<Bound> {
        let bound = |list: &[(String, Bound)]| {
            let mut found = list.iter().rev().filter(|(n, _)| n == name);
            found.next().map(|(_, bound)| bound.clone())
        };
        let assigned = self.assigned.iter().rfind(|(n, _)| n == name);
        bound(&self.loops)
            .or_else(|| assigned.map(|(_, value)| Bound::Value(value.clone())))
            .or_else(|| bound(&self.given))
    }
}

impl<'p> Render<'p> {
    pub(super) fn new(plan: &'p Plan, limits: Limits, session: Session, params: Value) -> Self {
        Self {
            plan,
            limits,
            session,
            params,
            content: None,
            out: String::new(),
            nodes: 0,
        }
    }

    pub(super) fn with_content(self, content: String) -> Self {
        Self {
            content: Some(content),
            ..self
        }
    }

    pub(super) fn run(mut self, nodes: &[Node]) -> (Result<String>, Session) {
        let rendered = self.nodes(nodes, &mut Names::default());
        (rendered.map(|()| self.out), self.session)
    }

    fn nodes(&mut self, nodes: &[Node], names: &mut Names) -> Result<()> {
        for node in nodes {
            self.nodes += 1;
            if self.nodes > MOST_NODES || self.out.len() > MOST_TEXT {
                return Err(Stop::Unknown);
            }
            self.node(node, names)?;
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, names: &mut Names) -> Result<()> {
        match node {
            Node::Text(text) => self.out.push_str(text.0),
            Node::Output(chain) => {
                let text = self.chain(chain, names, false)?.text()?;
                self.out.push_str(&text);
            }
            Node::Write(key, chain) => {
                let value = self.chain(chain, names, !self.plan.strict)?;
                self.session.set(key.0, &value, self.limits)?;
            }
            Node::WriteBlock(key, body) => {
                let text = self.inside(body, names)?;
                self.session.set(key.0, &Value::Text(text), self.limits)?;
            }
            Node::Clear => {
                self.session.written = true;
                self.session.map.clear();
            }
            Node::Assign(name, chain) => {
                let value = self.chain(chain, names, false)?;
                assign(names, name.0, value);
            }
            Node::Capture(name, body) => {
                let text = self.inside(body, names)?;
                assign(names, name.0, Value::Text(text));
            }
            Node::If(condition, yes, no) => {
                let body = if self.holds(condition, names)? {
                    yes
                } else {
                    no
                };
                self.nodes(body, names)?;
            }
            Node::Unless(condition, no) => {
                if !self.holds(condition, names)? {
                    self.nodes(no, names)?;
                }
            }
            Node::For(name, items, body) => {
                for item in self.items(items, names)? {
                    names.loops.push((name.0.to_owned(), Bound::Value(item)));
                    let rendered = self.nodes(body, names);
                    names.loops.pop();
                    rendered?;
                }
            }
            Node::Include(partial) => self.nodes(&self.plan.partials[*partial], names)?,
            Node::Render(partial, name, value) => {
                let bound = self.try_expr(value, names).ok_or(Stop::Fails)?;
                self.sandbox(*partial, name.0, bound)?;
            }
            Node::RenderFor(partial, items, name) => {
                for item in self.items(items, names)? {
                    self.sandbox(*partial, name.0, Bound::Value(item))?;
                }
            }
        }
        Ok(())
    }

    fn sandbox(&mut self, partial: usize, name: &str, bound: Bound) -> Result<()> {
        let mut names = Names {
            given: vec![(name.to_owned(), bound)],
            sandboxed: true,
            ..Names::default()
        };
        self.nodes(&self.plan.partials[partial], &mut names)
    }

    fn inside(&mut self, body: &[Node], names: &mut Names) -> Result<String> {
        let outside = std::mem::take(&mut self.out);
        self.nodes(body, names)?;
        Ok(std::mem::replace(&mut self.out, outside))
    }

    fn items(&self, expr: &Expr, names: &Names) -> Result<Vec<Value>> {
        match self.expr(expr, names)? {
            Value::Array(items) => Ok(items),
            Value::Object(entries) if entries.len() > 1 => Err(Stop::Unknown),
            Value::Object(entries) => Ok(entries
                .into_iter()
                .map(|(name, value)| Value::Array(vec![Value::Text(name), value]))
                .collect()),
            Value::Nil | Value::Blank | Value::Empty => Ok(Vec::new()),
            _ => Err(Stop::Fails),
        }
    }

    fn holds(&self, condition: &Condition, names: &Names) -> Result<bool> {
        let both = |a, b| Ok((self.expr(a, names)?, self.expr(b, names)?));
        match condition {
            Condition::Exists(Expr::Literal(literal)) => match Value::from(*literal) {
                Value::Blank | Value::Empty => Err(Stop::Unknown),
                value => Ok(value.is_truthy()),
            },
            Condition::Exists(expr) => Ok(match self.try_expr(expr, names) {
                Some(Bound::Value(value) | Bound::Lent(value)) => value.is_truthy(),
                Some(Bound::Session) => true,
                None => false,
            }),
            Condition::Equal(a, b) => both(a, b).and_then(|(a, b): (Value, Value)| a.equals(&b)),
            Condition::Unequal(a, b) => {
                let (a, b) = both(a, b)?;
                Ok(!a.equals(&b)?)
            }
            Condition::Less(a, b) => both(a, b).and_then(|(a, b): (Value, Value)| a.is_less(&b)),
        }
    }

    fn chain(&self, chain: &Chain, names: &Names, lenient: bool) -> Result<Value> {
        let evaluate = |expr| {
            let value = self.expr(expr, names);
            if lenient && value == Err(Stop::Fails) {
                Ok(Value::Nil)
            } else {
                value
            }
        };
        let mut value = evaluate(&chain.value)?;
        for filter in &chain.filters {
            let default = match filter {
                // The engine evaluates arguments by itself, and takes no nil for an index.
                Filter::Default(Expr::Path(_, steps)) if self.indexes(steps, names).is_none() => {
                    return Err(Stop::Fails);
                }
                Filter::Default(expr) => evaluate(expr)?,
                _ => Value::Nil,
            };
            value = value.filter(filter, default)?;
            if value.len() > MOST_TEXT {
                return Err(Stop::Unknown);
            }
        }
        Ok(value)
    }

    fn expr(&self, expr: &Expr, names: &Names) -> Result<Value> {
        match self.try_expr(expr, names) {
            Some(Bound::Value(value) | Bound::Lent(value)) => Ok(value),
            Some(Bound::Session) => Ok(Value::Object(self.session.map.clone())),
            None => Err(Stop::Fails),
        }
    }

    fn try_expr(&self, expr: &Expr, names: &Names) -> Option<Bound> {
        let (root, steps) = match expr {
            Expr::Literal(literal) => return Some(Bound::Value((*literal).into())),
            Expr::Path(root, steps) => (root, steps),
        };
        let mut at = match root {
            Root::Session => Bound::Session,
            Root::Params if !names.sandboxed => Bound::Value(self.params.clone()),
            Root::Content if !names.sandboxed => Bound::Value(Value::Text(self.content.clone()?)),
            Root::Variable(name) => names.get(name.0)?,
            Root::Params | Root::Content | Root::Nowhere => return None,
        };
        // The engine evaluates all indexes before it looks.
        for index in self.indexes(steps, names)? {
            at = self.below(at, &index)?;
        }
        Some(at)
    }

    fn indexes(&self, steps: &[Step], names: &Names) -> Option<Vec<String>> {
        steps.iter().map(|step| self.index(step, names)).collect()
    }

    fn index(&self, step: &Step, names: &Names) -> Option<String> {
        Some(match step {
            Step::Key(key) => key.0.to_owned(),
            Step::Size => "size".to_owned(),
            Step::First => "first".to_owned(),
            Step::Last => "last".to_owned(),
            Step::At(index) => index.to_string(),
            Step::By(name) => match names.get(name.0)? {
                Bound::Value(value) | Bound::Lent(value) if value.is_scalar() => {
                    value.text().ok()?
                }
                _ => return None,
            },
        })
    }

    fn below(&self, at: Bound, index: &str) -> Option<Bound> {
        let size = |size: usize| Value::Int(size as i64);
        match at {
            Bound::Session => Some(match (index, self.session.map.get(index)) {
                ("size", _) => Bound::Value(size(self.session.map.len())),
                (_, Some(value)) => Bound::Lent(value.clone()),
                (_, None) => Bound::Lent(Value::Nil),
            }),
            // A size is the engine's own number, with nothing below it.
            Bound::Lent(value) if index == "size" && !value.has(index) => {
                Some(match step_below(&value, index) {
                    Some(size) => Bound::Value(size),
                    None => Bound::Lent(Value::Nil),
                })
            }
            Bound::Lent(value) => {
                let found = step_below(&value, index);
                Some(Bound::Lent(found.unwrap_or(Value::Nil)))
            }
            Bound::Value(value) => step_below(&value, index).map(Bound::Value),
        }
    }
}

fn step_below(value: &Value, index: &str) -> Option<Value> {
    let size = |size: usize| Some(Value::Int(size as i64));
    match value {
        Value::Array(items) => match (index.parse::<i64>(), index) {
            (Ok(at), _) if at < 0 => {
                let back = usize::try_from(at.unsigned_abs()).ok()?;
                items.get(items.len().checked_sub(back)?).cloned()
            }
            (Ok(at), _) => items.get(usize::try_from(at).ok()?).cloned(),
            (_, "first") => items.first().cloned(),
            (_, "last") => items.last().cloned(),
            (_, "size") => size(items.len()),
            _ => None,
        },
        Value::Object(entries) => match entries.get(index) {
            Some(value) => Some(value.clone()),
            None if index == "size" => size(entries.len()),
            None => None,
        },
        scalar if scalar.is_scalar() && index == "size" => size(scalar.text().ok()?.len()),
        _ => None,
    }
}

fn assign(names: &mut Names, name: &str, value: Value) {
    names.assigned.retain(|(n, _)| n != name);
    names.assigned.push((name.to_owned(), value));
}
