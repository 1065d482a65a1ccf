//! `if`, `unless` and `case`.

use std::io::Write;

use liquid_core::Result;

use super::super::expression::{Condition, Expr};
use super::super::markup::Brackets;
use super::super::node::{Body, Flow, Node, Scope};
use super::super::parse::{Parsed, Parser};
use super::super::scan::Tag;
use super::super::values;

#[derive(Debug)]
struct If {
    /// The value of the first condition that chooses its branch: `false` for `unless`.
    first: bool,
    branches: Vec<(Condition, Body)>,
    otherwise: Option<Body>,
}

pub(super) fn parse_if(parser: &mut Parser<'_>, tag: Tag, end: &str) -> Result<Parsed> {
    let condition = |parser: &Parser<'_>, tag| -> Result<Condition> {
        let mut markup = parser.markup(tag);
        let condition = markup.condition()?;
        markup.expect_end("{% if value == other and … %}")?;
        Ok(condition)
    };
    // Before the body: what is wrong here comes first.
    let own = condition(parser, tag)?;
    let mut parsed = parser.branches(tag, &["elsif", "else"], end)?.into_iter();
    let body = parsed.next().map(|(_, body)| body).unwrap_or_default();
    let mut blank = body.blank;
    let mut branches = vec![(own, body)];
    let mut otherwise = None;
    for (begin, body) in parsed {
        blank &= body.blank;
        // Branches after an `else` are never reached.
        if otherwise.is_some() {
            continue;
        }
        if parser.source.get(begin.name) == "else" {
            otherwise = Some(body);
        } else {
            branches.push((condition(parser, begin)?, body));
        }
    }
    let first = end == "endif";
    Ok(Parsed {
        node: Box::new(If {
            first,
            branches,
            otherwise,
        }),
        blank,
    })
}

impl Node for If {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let mut chosen = self.first;
        for (condition, body) in &self.branches {
            if condition.evaluate(scope.runtime)? == chosen {
                return body.render(out, scope);
            }
            chosen = true;
        }
        match &self.otherwise {
            Some(body) => body.render(out, scope),
            None => Ok(Flow::Next),
        }
    }
}

#[derive(Debug)]
struct Case {
    subject: Expr,
    branches: Vec<(When, Body)>,
}

#[derive(Debug)]
enum When {
    Values(Vec<Expr>),
    Else,
}

pub(super) fn parse_case(parser: &mut Parser<'_>, tag: Tag) -> Result<Parsed> {
    let mut markup = parser.markup(tag);
    let subject = markup.value(Brackets::Lookup)?;
    markup.expect_end("{% case value %}")?;
    let mut blank = true;
    let mut branches = Vec::new();
    // What stands before the first `when` is never printed.
    for (begin, body) in parser.branches(tag, &["when", "else"], "endcase")? {
        if begin.all == tag.all {
            continue;
        }
        blank &= body.blank;
        let mut markup = parser.markup(begin);
        if parser.source.get(begin.name) == "else" {
            markup.expect_end("{% else %}")?;
            branches.push((When::Else, body));
            continue;
        }
        let mut choices = Vec::new();
        loop {
            choices.push(markup.value(Brackets::Lookup)?);
            if !markup.eat(",") && !markup.eat_word("or") {
                break;
            }
        }
        markup.expect_end("{% when value, other %}")?;
        branches.push((When::Values(choices), body));
    }
    Ok(Parsed {
        node: Box::new(Case { subject, branches }),
        blank,
    })
}

impl Node for Case {
    fn render(&self, out: &mut dyn Write, scope: Scope<'_>) -> Result<Flow> {
        let subject = self.subject.evaluate(scope.runtime)?;
        let mut matched = false;
        for (when, body) in &self.branches {
            // Ruby prints a branch once for each of its values that matches.
            let times = match when {
                When::Else => usize::from(!matched),
                When::Values(choices) => {
                    let mut times = 0;
                    for choice in choices {
                        times += usize::from(is_case(subject.as_view(), choice, scope)?);
                    }
                    times
                }
            };
            matched |= times > 0 && matches!(when, When::Values(_));
            for _ in 0..times {
                let flow = body.render(out, scope)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
        }
        Ok(Flow::Next)
    }
}

fn is_case(subject: &dyn liquid_core::ValueView, choice: &Expr, scope: Scope<'_>) -> Result<bool> {
    Ok(match choice {
        Expr::Blank => values::is_blank(subject),
        Expr::Empty => values::is_empty(subject),
        choice => values::equal(subject, choice.evaluate(scope.runtime)?.as_view()),
    })
}
