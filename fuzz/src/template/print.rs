//! A plan as Liquid.

use std::fmt::{self, Display, Formatter};

use super::grammar::{Chain, Condition, Expr, Filter, Literal, Node, Root, Step};

pub(super) struct Nodes<'n>(pub(super) &'n [Node]);

impl Display for Nodes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|node| node.fmt(f))
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Blank => f.write_str("blank"),
            Self::Empty => f.write_str("empty"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::Float(number) => f.write_str(number.0),
            Self::Text(text) => write!(f, "'{}'", text.0),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (root, steps) = match self {
            Self::Literal(literal) => return literal.fmt(f),
            Self::Path(root, steps) => (root, steps),
        };
        f.write_str(match root {
            Root::Session => "context.session",
            Root::Params => "params",
            Root::Variable(name) => name.0,
            Root::Content => "content_for_layout",
            Root::Nowhere => "nowhere",
        })?;
        steps
            .iter()
            .enumerate()
            .try_for_each(|(n, step)| match step {
                Step::Key(key) if n % 2 == 1 => write!(f, "['{}']", key.0),
                Step::Key(key) => write!(f, ".{}", key.0),
                Step::Size => f.write_str(".size"),
                Step::First => f.write_str(".first"),
                Step::Last => f.write_str(".last"),
                Step::At(index) => write!(f, "[{index}]"),
                Step::By(name) => write!(f, "[{}]", name.0),
            })
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upcase => f.write_str("upcase"),
            Self::Append(text) => write!(f, "append: '{}'", text.0),
            Self::Prepend(text) => write!(f, "prepend: '{}'", text.0),
            Self::Size => f.write_str("size"),
            Self::First => f.write_str("first"),
            Self::Last => f.write_str("last"),
            Self::Split(text) => write!(f, "split: '{}'", text.0),
            Self::Join(text) => write!(f, "join: '{}'", text.0),
            Self::Json => f.write_str("json"),
            Self::ParseJson => f.write_str("parse_json"),
            Self::HashKeys => f.write_str("hash_keys"),
            Self::Default(value) => write!(f, "default: {value}"),
            Self::Plus(number) => write!(f, "plus: {number}"),
            Self::Times(number) => write!(f, "times: {number}"),
        }
    }
}

impl Display for Chain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)?;
        self.filters
            .iter()
            .try_for_each(|filter| write!(f, " | {filter}"))
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(value) => value.fmt(f),
            Self::Equal(a, b) => write!(f, "{a} == {b}"),
            Self::Unequal(a, b) => write!(f, "{a} != {b}"),
            Self::Less(a, b) => write!(f, "{a} < {b}"),
        }
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text.0),
            Self::Output(chain) => write!(f, "{{{{ {chain} }}}}"),
            Self::Write(key, chain) => write!(f, "{{% session {} = {chain} %}}", key.0),
            Self::WriteBlock(key, body) => {
                let body = Nodes(body);
                write!(f, "{{% session {} %}}{body}{{% endsession %}}", key.0)
            }
            Self::Clear => f.write_str("{% session = null %}"),
            Self::Assign(name, chain) => write!(f, "{{% assign {} = {chain} %}}", name.0),
            Self::Capture(name, body) => {
                let body = Nodes(body);
                write!(f, "{{% capture {} %}}{body}{{% endcapture %}}", name.0)
            }
            Self::If(condition, yes, no) => {
                let (yes, no) = (Nodes(yes), Nodes(no));
                write!(
                    f,
                    "{{% if {condition} %}}{yes}{{% else %}}{no}{{% endif %}}"
                )
            }
            Self::Unless(condition, no) => {
                let no = Nodes(no);
                write!(f, "{{% unless {condition} %}}{no}{{% endunless %}}")
            }
            Self::For(name, items, body) => {
                let body = Nodes(body);
                write!(f, "{{% for {} in {items} %}}{body}{{% endfor %}}", name.0)
            }
            Self::Include(partial) => write!(f, "{{% include 'p{partial}' %}}"),
            Self::Render(partial, name, value) => {
                write!(f, "{{% render 'p{partial}', {}: {value} %}}", name.0)
            }
            Self::RenderFor(partial, items, name) => {
                write!(f, "{{% render 'p{partial}' for {items} as {} %}}", name.0)
            }
        }
    }
}
