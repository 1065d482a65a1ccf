//! Reads what stands in a tag: values, filters, conditions, arguments.

use liquid_core::model::KString;
use liquid_core::parser::FilterArguments;
use liquid_core::{Language, Result, Value, ValueView as _};

use super::expression::{
    Chain, Comparison, Condition, Expr, FilterCall, Hidden, Key, Link, Operator, Path,
};
use super::nearest;
use super::scan::is_space;
use super::source::{Source, Span};

/// The limit of brackets in brackets, each of which takes a part of the stack.
const DEEPEST: usize = 100;

/// Whether `[…]` is an array, or a look-up by a computed name as in Ruby's output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Brackets {
    Array,
    Lookup,
}

/// A cursor over the markup of one tag.
pub(super) struct Markup<'s> {
    source: &'s Source,
    /// The tag, for errors at its end.
    span: Span,
    at: usize,
    depth: usize,
}

pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

impl<'s> Markup<'s> {
    pub(super) fn new(source: &'s Source, span: Span) -> Self {
        Self {
            source,
            span,
            at: span.start,
            depth: 0,
        }
    }

    fn rest(&self) -> &'s str {
        self.source.get((self.at..self.span.end).into())
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_space).len();
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn text_from(&self, start: usize) -> &'s str {
        self.source
            .get((start..self.at).into())
            .trim_end_matches(is_space)
    }

    pub(super) fn is_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    /// Returns the word at the cursor, without moving.
    pub(super) fn peek_word(&mut self) -> &'s str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        &rest[..end]
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.peek_word() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    /// Makes an error that points at the cursor.
    pub(super) fn error(&mut self, problem: &str) -> liquid_core::Error {
        self.skip_space();
        let word = self.peek_word().len();
        let width = if word > 0 {
            word
        } else {
            self.rest().chars().next().map_or(0, char::len_utf8)
        };
        // At the end of the tag: its last character.
        let start = if width == 0 && self.at > 0 {
            self.source.floor(self.at - 1)
        } else {
            self.at
        };
        self.source
            .error((start..start.max(self.at + width)).into(), problem)
    }

    /// Describes what is at the cursor, for an error.
    pub(super) fn found(&mut self) -> String {
        self.skip_space();
        let rest = self.rest();
        let word = self.peek_word();
        if !word.is_empty() {
            return format!("`{word}`");
        }
        match rest.chars().next() {
            None => "the end of the tag".to_owned(),
            Some(quote @ ('\'' | '"')) if !rest[1..].contains(quote) => {
                format!("a string whose quote {quote} is never closed")
            }
            Some('\'' | '"') => "a string".to_owned(),
            Some(c) if c.is_control() => format!("the control character U+{:04X}", u32::from(c)),
            Some(c) => format!("`{c}`"),
        }
    }

    /// Fails unless the cursor is at the end.
    pub(super) fn expect_end(&mut self, form: &str) -> Result<()> {
        if self.is_end() {
            return Ok(());
        }
        let found = self.found();
        let hint = match self.peek() {
            Some('&') => " (write `and` for `&&`)",
            Some('|') if self.rest().starts_with("||") => " (write `or` for `||`)",
            Some('=') if !self.rest().starts_with("==") => " (`==` compares)",
            Some('*') => " (write `| times: …`)",
            Some('+') => " (write `| plus: …`)",
            _ => "",
        };
        Err(self.error(&format!(
            "expected the end of the tag, found {found}{hint}; write {form}"
        )))
    }

    /// Reads the name of a variable. As in Ruby, it may begin with a digit.
    pub(super) fn name(&mut self, what: &str) -> Result<KString> {
        let word = self.peek_word();
        let valid = !word.is_empty() && !word.starts_with('-');
        if !valid {
            let found = self.found();
            return Err(self.error(&format!(
                "expected {what}, found {found}: a name has letters, digits, `_` and `-`"
            )));
        }
        self.at += word.len();
        Ok(KString::from_ref(word))
    }

    /// Reads a name that may end with `?`, as in loops and look-ups.
    pub(super) fn lax_name(&mut self, what: &str) -> Result<KString> {
        let name = self.name(what)?;
        if self.rest().starts_with('?') {
            self.at += 1;
            return Ok(KString::from_string(format!("{name}?")));
        }
        Ok(name)
    }

    fn nest<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEEPEST {
            return Err(self.error(&format!(
                "brackets nest deeper than the limit of {DEEPEST} levels"
            )));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Reads a value without filters.
    pub(super) fn value(&mut self, brackets: Brackets) -> Result<Expr> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => self.string(quote),
            Some('(') => self.nest(Self::range),
            Some('{') => self.nest(Self::object),
            Some('[') => self.nest(|markup| markup.brackets(brackets)),
            Some(c) if c.is_ascii_digit() => self.number(),
            Some('-' | '+') if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.number()
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.literal_or_path(),
            _ => {
                let found = self.found();
                Err(self.error(&format!(
                    "expected a value, found {found}: a value is a string, a number, a variable or a range"
                )))
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<Expr> {
        let rest = &self.rest()[1..];
        let Some(length) = rest.find(quote) else {
            return Err(self.error(&format!("the quote {quote} is never closed in this tag")));
        };
        self.at += length + 2;
        Ok(Expr::Literal(Value::scalar(KString::from_ref(
            &rest[..length],
        ))))
    }

    fn number(&mut self) -> Result<Expr> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['-', '+']));
        let digits = |from: usize| {
            rest[from..]
                .find(|c: char| !c.is_ascii_digit())
                .map_or(rest.len(), |length| from + length)
        };
        let mut end = digits(sign);
        let fraction = rest[end..].starts_with('.') && digits(end + 1) > end + 1;
        if fraction {
            end = digits(end + 1);
        }
        let text = &rest[..end];
        let value = if fraction {
            text.parse().ok().map(|number: f64| Value::scalar(number))
        } else {
            text.parse().ok().map(|number: i64| Value::scalar(number))
        };
        let Some(value) = value else {
            return Err(self.error(&format!(
                "the whole number {} is beyond what a template can hold ({} to {})",
                text.get(..40).unwrap_or(text),
                i64::MIN,
                i64::MAX
            )));
        };
        self.at += end;
        Ok(Expr::Literal(value))
    }

    fn range(&mut self) -> Result<Expr> {
        self.eat("(");
        let first = self.value(Brackets::Lookup)?;
        if !self.eat("..") {
            let found = self.found();
            return Err(self.error(&format!(
                "expected `..` in the range, found {found}: a range is (1..5); conditions have no parentheses in Liquid"
            )));
        }
        let last = self.value(Brackets::Lookup)?;
        self.close(")", "range")?;
        Ok(Expr::Range(Box::new((first, last))))
    }

    fn close(&mut self, symbol: &str, what: &str) -> Result<()> {
        if self.eat(symbol) {
            return Ok(());
        }
        let found = self.found();
        Err(self.error(&format!(
            "expected `{symbol}` at the end of the {what}, found {found}"
        )))
    }

    fn object(&mut self) -> Result<Expr> {
        self.eat("{");
        let mut entries = Vec::new();
        while !self.eat("}") {
            let key = match self.peek() {
                Some(c) if is_word(c) => {
                    Expr::Literal(Value::scalar(self.lax_name("a key of the object")?))
                }
                _ => self.value(Brackets::Array)?,
            };
            self.close(":", "key")?;
            entries.push((key, self.value(Brackets::Array)?));
            if !self.eat(",") && self.peek() != Some('}') {
                self.close("}", "object")?;
                break;
            }
        }
        Ok(Expr::Object(entries))
    }

    /// Reads `[a, b]`, or `[name].member`.
    fn brackets(&mut self, brackets: Brackets) -> Result<Expr> {
        self.eat("[");
        let mut items = Vec::new();
        let mut comma = false;
        while !self.eat("]") {
            items.push(self.value(Brackets::Array)?);
            let more = self.eat(",");
            comma |= more;
            if !more {
                self.close("]", "brackets")?;
                break;
            }
        }
        if brackets == Brackets::Lookup && !comma && items.len() == 1 {
            let root = items.into_iter().map(Key::Index).collect();
            return self.path(root);
        }
        Ok(Expr::Array(items))
    }

    fn literal_or_path(&mut self) -> Result<Expr> {
        let word = self.peek_word();
        let after = self.rest()[word.len()..].trim_start_matches(is_space);
        // `nil.x` is a variable of that name, but `true..false` is a range.
        if !after.starts_with(['.', '[', '?']) || after.starts_with("..") {
            let literal = match word {
                "nil" | "null" => Some(Expr::Literal(Value::Nil)),
                "true" => Some(Expr::Literal(Value::scalar(true))),
                "false" => Some(Expr::Literal(Value::scalar(false))),
                "blank" => Some(Expr::Blank),
                "empty" => Some(Expr::Empty),
                _ => None,
            };
            if let Some(literal) = literal {
                self.at += word.len();
                return Ok(literal);
            }
        }
        let root = self.lax_name("a variable")?;
        self.path(vec![Key::Name(root)])
    }

    /// Reads any number of `.name` and `[index]`.
    pub(super) fn path(&mut self, keys: Vec<Key>) -> Result<Expr> {
        self.keys(keys).map(|keys| Expr::Path(Path::new(keys)))
    }

    pub(super) fn keys(&mut self, mut keys: Vec<Key>) -> Result<Vec<Key>> {
        loop {
            let before = self.at;
            if self.peek() == Some('.') && !self.rest().starts_with("..") {
                self.eat(".");
                keys.push(Key::Name(self.lax_name("a name after `.`")?));
            } else if self.eat("[") {
                let index = self.nest(|markup| markup.value(Brackets::Lookup))?;
                self.close("]", "index")?;
                keys.push(match index {
                    // As fixed as a name.
                    Expr::Literal(Value::Scalar(scalar)) if scalar.type_name() == "string" => {
                        Key::Name(scalar.into_string())
                    }
                    index => Key::Index(index),
                });
            } else {
                self.at = before;
                return Ok(keys);
            }
        }
    }

    /// Reads a value with its filters.
    pub(super) fn chain(&mut self, options: &Language, brackets: Brackets) -> Result<Chain> {
        let head = self.value(brackets)?;
        self.filters(head, options)
    }

    /// Reads a value with filters, or a condition, which platformOS allows in `assign`.
    pub(super) fn chain_or_condition(&mut self, options: &Language) -> Result<Chain> {
        let left = self.value(Brackets::Array)?;
        let head = match (self.operator(), self.peek_word()) {
            (None, "and" | "or") => self.condition_from(Comparison { left, right: None })?,
            (None, _) => return self.filters(left, options),
            (Some(operator), _) => {
                let right = Some((operator, self.value(Brackets::Lookup)?));
                self.condition_from(Comparison { left, right })?
            }
        };
        self.filters(Expr::Condition(Box::new(head)), options)
    }

    fn filters(&mut self, head: Expr, options: &Language) -> Result<Chain> {
        let mut filters = Vec::new();
        while self.peek() == Some('|') && !self.rest().starts_with("||") {
            self.eat("|");
            filters.push(self.filter(options)?);
        }
        Ok(Chain { head, filters })
    }

    fn filter(&mut self, options: &Language) -> Result<FilterCall> {
        self.skip_space();
        let start = self.at;
        let name = self.name("the name of a filter after `|`")?;
        let Some(plugin) = options.filters.get(&name) else {
            let names = options.filters.plugin_names();
            let hint = nearest(&name, names);
            return Err(self.source.error(
                (start..self.at).into(),
                &format!("unknown filter `{name}`{hint}"),
            ));
        };
        let mut hidden = Hidden::default();
        let mut positional = Vec::new();
        let mut keyword = Vec::new();
        if self.eat(":") {
            while !matches!(self.peek(), None | Some('|')) {
                let before = self.at;
                let word = self.peek_word();
                self.at += word.len();
                let named = !word.is_empty() && self.eat(":");
                if !named {
                    self.at = before;
                }
                let value = hidden.expression(self.value(Brackets::Array)?);
                if named {
                    keyword.push((word, value));
                } else {
                    positional.push(value);
                }
                if !self.eat(",") {
                    break;
                }
            }
        }
        let span: Span = (start..start + self.text_from(start).len()).into();
        let arguments = FilterArguments {
            positional: Box::new(positional.into_iter()),
            keyword: Box::new(keyword.into_iter()),
        };
        let filter = plugin.parse(arguments).map_err(|error| {
            let problem = format!("filter `{name}`: {}", in_one_line(&error));
            self.source.error(span, &problem)
        })?;
        Ok(FilterCall {
            span,
            filter,
            hidden,
        })
    }

    /// Reads comparisons linked by `and` and `or`.
    pub(super) fn condition(&mut self) -> Result<Condition> {
        let first = self.comparison()?;
        self.condition_from(first)
    }

    fn condition_from(&mut self, first: Comparison) -> Result<Condition> {
        let mut parts = Vec::new();
        let mut comparison = first;
        loop {
            let link = match self.peek_word() {
                "and" => Some(Link::And),
                "or" => Some(Link::Or),
                _ => None,
            };
            parts.push((comparison, link));
            if link.is_none() {
                return Ok(Condition { parts });
            }
            self.at += self.peek_word().len();
            comparison = self.comparison()?;
        }
    }

    fn comparison(&mut self) -> Result<Comparison> {
        let left = self.value(Brackets::Lookup)?;
        let right = match self.operator() {
            Some(operator) => Some((operator, self.value(Brackets::Lookup)?)),
            None => None,
        };
        Ok(Comparison { left, right })
    }

    fn operator(&mut self) -> Option<Operator> {
        for (symbol, operator) in [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<>", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.eat(symbol) {
                return Some(operator);
            }
        }
        self.eat_word("contains").then_some(Operator::Contains)
    }

    /// Reads every `name: value`, and skips the rest, as Ruby does.
    pub(super) fn lax_arguments(&mut self) -> Result<Vec<(KString, Expr)>> {
        let mut arguments = Vec::new();
        while let Some(c) = self.peek() {
            let word = self.peek_word();
            if !word.is_empty() && !word.starts_with('-') {
                self.at += word.len();
                if self.eat(":") {
                    arguments.push((KString::from_ref(word), self.value(Brackets::Array)?));
                }
            } else if matches!(c, '\'' | '"') {
                self.string(c)?;
            } else {
                self.at += c.len_utf8();
            }
        }
        Ok(arguments)
    }
}

/// Returns the engine's error on one line, without its heading.
pub(super) fn in_one_line(error: &liquid_core::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("liquid: ").unwrap_or(&text);
    let mut lines = text.lines().map(str::trim);
    let mut line = lines.next().unwrap_or_default().to_owned();
    for part in lines.filter(|part| !part.is_empty() && *part != "with:") {
        line.push_str("; ");
        line.push_str(part);
    }
    line
}
