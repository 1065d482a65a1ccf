//! Values, filter chains and conditions, as Ruby Liquid evaluates them.

use std::borrow::Cow;
use std::fmt;

use liquid_core::model::{KString, Scalar, ScalarCow};
use liquid_core::{Filter, Object, Result, Runtime, Value, ValueCow, ValueView};

use super::frames::{Variables, Vars};
use super::source::{Source, Span};
use super::values::{self, Kind, kind};

/// A value without filters.
#[derive(Debug)]
pub(super) enum Expr {
    Literal(Value),
    /// `blank`: an empty string, except beside `==`, where it asks whether the other side is blank.
    Blank,
    /// `empty`: like `blank`, for values without characters or items.
    Empty,
    Path(Path),
    Range(Box<(Expr, Expr)>),
    Array(Vec<Expr>),
    Object(Vec<(Expr, Expr)>),
    Condition(Box<Condition>),
}

/// A variable, and what is read below it.
#[derive(Debug)]
pub(super) enum Path {
    Fixed(Vec<Scalar>),
    Computed(Vec<Key>),
}

#[derive(Debug)]
pub(super) enum Key {
    Name(KString),
    Index(Expr),
}

static NIL: Value = Value::Nil;
const EMPTY: &str = "";

/// The longest range that is turned into an array. Loops iterate over longer ones.
const LONGEST_ARRAY: i128 = 10_000_000;

impl Expr {
    pub(super) fn evaluate<'r>(&'r self, runtime: &'r dyn Runtime) -> Result<ValueCow<'r>> {
        Ok(match self {
            Self::Literal(value) => ValueCow::Borrowed(value),
            Self::Blank | Self::Empty => ValueCow::Borrowed(&EMPTY),
            Self::Path(path) => path.evaluate(runtime)?,
            Self::Range(bounds) => ValueCow::Owned(range_array(bounds, runtime)?),
            Self::Array(items) => {
                let items = items.iter().map(|item| item.owned(runtime));
                let array = Value::Array(items.collect::<Result<_>>()?);
                values::check_depth(&array)?;
                ValueCow::Owned(array)
            }
            Self::Object(entries) => {
                let mut object = Object::new();
                for (key, value) in entries {
                    let key = values::text(key.evaluate(runtime)?.as_view()).into_owned();
                    object.insert(key.into(), value.owned(runtime)?);
                }
                let object = Value::Object(object);
                values::check_depth(&object)?;
                ValueCow::Owned(object)
            }
            Self::Condition(condition) => {
                ValueCow::Owned(Value::scalar(condition.evaluate(runtime)?))
            }
        })
    }

    pub(super) fn owned(&self, runtime: &dyn Runtime) -> Result<Value> {
        self.evaluate(runtime).map(ValueCow::into_owned)
    }

    /// Returns the bounds, if this is a range: a loop needs no array of it.
    pub(super) fn range(&self, runtime: &dyn Runtime) -> Result<Option<(i64, i64)>> {
        match self {
            Self::Range(bounds) => range_bounds(bounds, runtime).map(Some),
            _ => Ok(None),
        }
    }

    /// Converts into the engine's expression, if the engine has one.
    fn to_engine(&self) -> Option<liquid_core::Expression> {
        use liquid_core::Expression;
        use liquid_core::runtime::Variable;
        match self {
            Self::Literal(value) => Some(Expression::Literal(value.clone())),
            Self::Blank | Self::Empty => Some(Expression::with_literal("")),
            Self::Path(Path::Fixed(keys)) => {
                let (root, rest) = keys.split_first()?;
                let mut variable = Variable::with_literal(root.clone());
                variable.extend(rest.iter().cloned());
                Some(Expression::Variable(variable))
            }
            _ => None,
        }
    }
}

fn range_bounds((first, last): &(Expr, Expr), runtime: &dyn Runtime) -> Result<(i64, i64)> {
    let bound = |bound: &Expr| values::range_bound(bound.evaluate(runtime)?.as_view());
    Ok((bound(first)?, bound(last)?))
}

fn range_array(bounds: &(Expr, Expr), runtime: &dyn Runtime) -> Result<Value> {
    let (first, last) = range_bounds(bounds, runtime)?;
    let length = i128::from(last) - i128::from(first) + 1;
    if length > LONGEST_ARRAY {
        return Err(liquid_core::Error::with_msg(format!(
            "the range ({first}..{last}) is too long for an array: expected at most {LONGEST_ARRAY} numbers; a `for` loop can walk it"
        )));
    }
    Ok(Value::array((first..=last).map(Value::scalar)))
}

impl Path {
    pub(super) fn new(keys: Vec<Key>) -> Self {
        if keys.iter().any(|key| matches!(key, Key::Index(_))) {
            return Self::Computed(keys);
        }
        let names = keys.into_iter().filter_map(|key| match key {
            Key::Name(name) => Some(Scalar::new(name)),
            Key::Index(_) => None,
        });
        Self::Fixed(names.collect())
    }

    fn evaluate<'r>(&'r self, runtime: &'r dyn Runtime) -> Result<ValueCow<'r>> {
        let found = match self {
            Self::Fixed(keys) => runtime.try_get(keys),
            Self::Computed(keys) => {
                let mut path = Vec::with_capacity(keys.len());
                for key in keys {
                    match key.evaluate(runtime)? {
                        Some(key) => path.push(key),
                        None => return Ok(ValueCow::Borrowed(&NIL)),
                    }
                }
                runtime.try_get(&path)
            }
        };
        Ok(found.map_or(ValueCow::Borrowed(&NIL), values::settle))
    }
}

impl Key {
    /// Returns nothing for nil, arrays and objects, which are no keys.
    pub(super) fn evaluate(&self, runtime: &dyn Runtime) -> Result<Option<Scalar>> {
        Ok(match self {
            Self::Name(name) => Some(Scalar::new(name.clone())),
            Self::Index(index) => index
                .evaluate(runtime)?
                .as_scalar()
                .map(ScalarCow::into_owned),
        })
    }
}

/// A filter. Arguments that the engine can't evaluate are passed in hidden variables.
pub(super) struct FilterCall {
    pub(super) span: Span,
    pub(super) filter: Box<dyn Filter>,
    pub(super) hidden: Hidden,
}

impl fmt::Debug for FilterCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.filter)
    }
}

/// Expressions that are evaluated into variables which no template can name.
#[derive(Debug, Default)]
pub(super) struct Hidden(Vec<(KString, Expr)>);

impl Hidden {
    /// Returns the engine's form of an expression, or a hidden variable with its value.
    pub(super) fn expression(&mut self, expr: Expr) -> liquid_core::Expression {
        expr.to_engine().unwrap_or_else(|| {
            // No author can write this name.
            let name = KString::from_string(format!("\0{}", self.0.len()));
            self.0.push((name.clone(), expr));
            liquid_core::Expression::Variable(liquid_core::runtime::Variable::with_literal(name))
        })
    }

    pub(super) fn push(&mut self, name: KString, expr: Expr) {
        self.0.push((name, expr));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Calls `run` with the hidden variables in scope.
    pub(super) fn scoped<T>(
        &self,
        runtime: &dyn Runtime,
        run: impl FnOnce(&dyn Runtime) -> Result<T>,
    ) -> Result<T> {
        if self.0.is_empty() {
            return run(runtime);
        }
        let mut vars = Vars::new();
        for (name, expr) in &self.0 {
            vars.push((Cow::Borrowed(name.as_str()), expr.evaluate(runtime)?));
        }
        run(&Variables::new(runtime, vars))
    }
}

/// A value and its filters.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) head: Expr,
    pub(super) filters: Vec<FilterCall>,
}

impl Chain {
    pub(super) fn evaluate<'r>(
        &'r self,
        source: &Source,
        runtime: &'r dyn Runtime,
    ) -> Result<ValueCow<'r>> {
        let mut value = self.head.evaluate(runtime)?;
        for call in &self.filters {
            let filtered = call.hidden.scoped(runtime, |runtime| {
                call.filter.evaluate(value.as_view(), runtime)
            });
            // Without the input: errors show no data.
            let filtered = filtered.map_err(|error| {
                let name = source.get(call.span).split([':', ' ']).next();
                error.trace(format!("filter `{}`", name.unwrap_or_default()))
            })?;
            value = ValueCow::Owned(filtered);
        }
        Ok(value)
    }
}

/// Comparisons, linked by `and` and `or`, which Ruby reads from the right.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) parts: Vec<(Comparison, Option<Link>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    And,
    Or,
}

#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) left: Expr,
    pub(super) right: Option<(Operator, Expr)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

impl Condition {
    pub(super) fn evaluate(&self, runtime: &dyn Runtime) -> Result<bool> {
        let mut result = false;
        for (comparison, link) in &self.parts {
            result = comparison.evaluate(runtime)?;
            // Read from the right: what follows an `or` counts only if this part is false.
            match link {
                Some(Link::Or) if result => break,
                Some(Link::And) if !result => break,
                _ => {}
            }
        }
        Ok(result)
    }
}

impl Comparison {
    fn evaluate(&self, runtime: &dyn Runtime) -> Result<bool> {
        let left = self.left.evaluate(runtime)?;
        let Some((operator, right)) = &self.right else {
            return Ok(values::truthy(left.as_view()));
        };
        let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
        if equality {
            let equal = match (&self.left, right) {
                // Neither answers the other's question.
                (Expr::Blank | Expr::Empty, Expr::Blank | Expr::Empty) => false,
                (_, Expr::Blank) => values::is_blank(left.as_view()),
                (_, Expr::Empty) => values::is_empty(left.as_view()),
                (Expr::Blank, _) => values::is_blank(right.evaluate(runtime)?.as_view()),
                (Expr::Empty, _) => values::is_empty(right.evaluate(runtime)?.as_view()),
                (_, right) => {
                    let right = right.evaluate(runtime)?;
                    values::equal(left.as_view(), right.as_view())
                }
            };
            return Ok(equal == (*operator == Operator::Equal));
        }
        let right_value = right.evaluate(runtime)?;
        if *operator == Operator::Contains {
            return Ok(values::contains(left.as_view(), right_value.as_view()));
        }
        // `blank` and `empty` are no values to compare.
        let literal = |expr: &Expr| matches!(expr, Expr::Blank | Expr::Empty);
        if literal(&self.left) || literal(right) {
            return Ok(false);
        }
        compare(*operator, left.as_view(), right_value.as_view())
    }
}

fn compare(operator: Operator, left: &dyn ValueView, right: &dyn ValueView) -> Result<bool> {
    use std::cmp::Ordering;
    let ordering = match (kind(left), kind(right)) {
        (Kind::String(left), Kind::String(right)) => Some(left.cmp(&right)),
        (Kind::Int(left), Kind::Int(right)) => Some(left.cmp(&right)),
        (left, right) => match (left.number(), right.number()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => match (&left, &right) {
                (Kind::Date(left), Kind::Date(right)) => left.partial_cmp(right),
                (Kind::String(_), right) if right.number().is_some() => {
                    return Err(incomparable("a string", "a number"));
                }
                (left, Kind::String(_)) if left.number().is_some() => {
                    return Err(incomparable("a number", "a string"));
                }
                _ => None,
            },
        },
    };
    Ok(ordering.is_some_and(|ordering| match operator {
        Operator::Less => ordering == Ordering::Less,
        Operator::LessOrEqual => ordering != Ordering::Greater,
        Operator::Greater => ordering == Ordering::Greater,
        Operator::GreaterOrEqual => ordering != Ordering::Less,
        Operator::Equal | Operator::NotEqual | Operator::Contains => false,
    }))
}

fn incomparable(left: &str, right: &str) -> liquid_core::Error {
    liquid_core::Error::with_msg(format!(
        "can't compare {left} with {right}: make both numbers (`| plus: 0`) or both strings (`| append: ''`)"
    ))
}
