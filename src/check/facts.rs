//! What one template does, in the order of its source.

use crate::dialect::{Piece, Step, Token, Word, outline};

/// What is read from one template.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) writes: Vec<Write>,
    /// `{% session = null %}`.
    pub(super) clears: Vec<usize>,
    pub(super) calls: Vec<Call>,
    /// Variables that get a value.
    pub(super) sets: Vec<Set>,
    /// Variables without a value that is known: of loops, queries, forms.
    pub(super) opaque: Vec<String>,
    pub(super) prints: Vec<Print>,
    /// Every variable that is read, and how.
    pub(super) paths: Vec<Path>,
    pub(super) returns: Vec<Vec<Token>>,
}

/// A session tag.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) at: usize,
    /// The value; for a block, each output in it.
    pub(super) value: Vec<Vec<Token>>,
    pub(super) removes: bool,
}

/// A variable that gets a value.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) at: usize,
    /// The value; for a block, each output in it.
    pub(super) value: Vec<Vec<Token>>,
    /// Whether this changes a part of the value that was there.
    pub(super) part: bool,
    /// Whether it is the text of a block.
    pub(super) block: bool,
    /// The call in [`Facts::calls`] that returns the value.
    pub(super) call: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Include,
    Render,
    Function,
    /// `theme_render_rc`, which looks for the partial in the folders of a theme.
    Theme,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) how: How,
    /// `None` if it is computed.
    pub(super) partial: Option<String>,
    pub(super) at: usize,
    pub(super) arguments: Vec<(String, Vec<Token>)>,
}

#[derive(Debug)]
pub(super) struct Print {
    pub(super) at: usize,
    pub(super) value: Vec<Token>,
    /// Whether it is in a block whose text is kept, not printed.
    pub(super) kept: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
    pub(super) at: usize,
    pub(super) how: Use,
}

/// What a path is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    /// In a condition.
    Tested,
    /// As a whole value: of `assign`, of an argument, of `return`.
    Passed,
}

/// A block whose text becomes a value.
struct Open {
    end: &'static str,
    write: Option<usize>,
    set: Option<usize>,
}

impl Facts {
    pub(super) fn of(body: &str) -> Self {
        let mut facts = Self::default();
        let mut open: Vec<Open> = Vec::new();
        for piece in outline(body) {
            match open.last() {
                Some(last) if last.end == piece.name => drop(open.pop()),
                _ => facts.piece(piece, &mut open),
            }
        }
        facts
    }

    fn piece(&mut self, piece: Piece, open: &mut Vec<Open>) {
        let Piece { name, at, tokens } = piece;
        let assigned = tokens.get(1).map(|token| &token.word) == Some(&Word::Symbol('='));
        match name.as_str() {
            "" => self.output(at, tokens, open),
            "session" => self.session(at, &tokens, open),
            "assign" | "hash_assign" if assigned => self.assign(&tokens),
            "capture" => self.capture(&tokens, "endcapture", open),
            "parse_json" => self.capture(&tokens, "endparse_json", open),
            "function" | "background" if assigned => self.function(&tokens),
            "include" => self.call(How::Include, at, &tokens),
            "theme_render_rc" => self.call(How::Theme, at, &tokens),
            "render" => self.call(How::Render, at, &tokens),
            "return" => {
                self.paths_of(&tokens, Use::Passed);
                self.returns.push(tokens);
            }
            "if" | "unless" | "elsif" | "case" | "when" => self.paths_of(&tokens, Use::Tested),
            "for" | "tablerow" | "increment" | "decrement" | "catch" | "graphql"
            | "query_graph" | "execute_query" => {
                if let Some(name) = root(tokens.first()) {
                    self.opaque.push(name);
                }
                let result = tokens
                    .iter()
                    .position(|token| token.word == Word::Named("result_name".to_owned()))
                    .and_then(|at| tokens.get(at + 1));
                if let Some(Word::Text(name)) = result.map(|token| &token.word) {
                    self.opaque.push(name.clone());
                }
                self.paths_of(tokens.get(1..).unwrap_or_default(), Use::Read);
            }
            _ => self.paths_of(&tokens, Use::Read),
        }
    }

    fn output(&mut self, at: usize, tokens: Vec<Token>, open: &[Open]) {
        self.paths_of(&tokens, Use::Read);
        for block in open {
            if let Some(write) = block.write {
                self.writes[write].value.push(tokens.clone());
            }
            if let Some(set) = block.set {
                self.sets[set].value.push(tokens.clone());
            }
        }
        self.prints.push(Print {
            at: tokens.first().map_or(at, |token| token.at),
            value: tokens,
            kept: !open.is_empty(),
        });
    }

    fn session(&mut self, at: usize, tokens: &[Token], open: &mut Vec<Open>) {
        let Some(first) = tokens.first() else {
            return;
        };
        let key = match &first.word {
            Word::Symbol('=') => {
                self.clears.push(at);
                return;
            }
            Word::Literal(key) => key.clone(),
            _ => match root(Some(first)) {
                Some(key) => key,
                None => return,
            },
        };
        let block = tokens.len() == 1;
        let value = tokens.get(2..).unwrap_or_default();
        let removes = match value {
            [token] => match &token.word {
                Word::Literal(word) => ["nil", "null", "blank", "empty"].contains(&word.as_str()),
                Word::Text(text) => text.trim().is_empty(),
                _ => false,
            },
            _ => false,
        };
        self.paths_of(value, Use::Read);
        if block {
            open.push(Open {
                end: "endsession",
                write: Some(self.writes.len()),
                set: None,
            });
        }
        self.writes.push(Write {
            key,
            at: first.at,
            value: if block {
                Vec::new()
            } else {
                vec![value.to_vec()]
            },
            removes,
        });
    }

    fn assign(&mut self, tokens: &[Token]) {
        let (Some(name), Some(Word::Path(steps))) = (
            root_of(tokens.first()),
            tokens.first().map(|token| &token.word),
        ) else {
            return;
        };
        let part = steps.len() > 1;
        for step in &steps[1..] {
            self.paths_in(step, tokens[0].at);
        }
        let value = &tokens[2..];
        self.paths_of(value, Use::passed(value));
        self.sets.push(Set {
            name,
            at: tokens[0].at,
            value: vec![value.to_vec()],
            part,
            block: false,
            call: None,
        });
    }

    fn capture(&mut self, tokens: &[Token], end: &'static str, open: &mut Vec<Open>) {
        let name = match tokens.first().map(|token| &token.word) {
            Some(Word::Text(name)) => Some(name.clone()),
            _ => root_of(tokens.first()),
        };
        let Some(name) = name else {
            return;
        };
        open.push(Open {
            end,
            write: None,
            set: Some(self.sets.len()),
        });
        self.sets.push(Set {
            name,
            at: tokens[0].at,
            value: Vec::new(),
            part: false,
            block: true,
            call: None,
        });
    }

    fn function(&mut self, tokens: &[Token]) {
        let Some(name) = root_of(tokens.first()) else {
            return;
        };
        let call = self.calls.len();
        self.call(How::Function, tokens[0].at, &tokens[2..]);
        self.sets.push(Set {
            name,
            at: tokens[0].at,
            value: Vec::new(),
            part: false,
            block: false,
            call: Some(call),
        });
    }

    fn call(&mut self, how: How, at: usize, tokens: &[Token]) {
        let Some((first, rest)) = tokens.split_first() else {
            return;
        };
        let computed = matches!(rest.first().map(|token| &token.word), Some(Word::Filter(_)));
        let partial = match &first.word {
            Word::Text(_) if computed => None,
            Word::Text(name) => Some(name.clone()),
            _ => {
                self.paths_of(std::slice::from_ref(first), Use::Read);
                None
            }
        };
        let mut arguments: Vec<(String, Vec<Token>)> = Vec::new();
        let mut depth = 0_usize;
        let mut subject = false;
        for token in rest {
            match &token.word {
                Word::Symbol('[' | '{' | '(') => depth += 1,
                Word::Symbol(']' | '}' | ')') => depth = depth.saturating_sub(1),
                Word::Symbol(',') if depth == 0 => continue,
                Word::Named(name) if depth == 0 => {
                    arguments.push((name.clone(), Vec::new()));
                    continue;
                }
                Word::Path(path) if depth == 0 && arguments.len() <= 1 => match &path[..] {
                    // `with value as name`, `for values as name`.
                    [Step::Name(word)]
                        if arguments.is_empty() && (word == "with" || word == "for") =>
                    {
                        let base = partial.as_deref().unwrap_or_default();
                        let base = base.rsplit('/').next().unwrap_or(base);
                        arguments.push((base.to_owned(), Vec::new()));
                        subject = true;
                        continue;
                    }
                    [Step::Name(word)] if subject && word == "as" => continue,
                    [Step::Name(word)] if subject && !arguments[0].1.is_empty() => {
                        arguments[0].0 = word.clone();
                        continue;
                    }
                    _ => {}
                },
                _ => {}
            }
            if let Some((_, value)) = arguments.last_mut() {
                value.push(token.clone());
            }
        }
        for (_, value) in &arguments {
            self.paths_of(value, Use::passed(value));
        }
        self.calls.push(Call {
            how,
            partial,
            at: if how == How::Function { at } else { first.at },
            arguments,
        });
    }

    fn paths_of(&mut self, tokens: &[Token], how: Use) {
        for token in tokens {
            if let Word::Path(steps) = &token.word {
                for step in steps {
                    self.paths_in(step, token.at);
                }
                self.paths.push(Path {
                    steps: steps.clone(),
                    at: token.at,
                    how,
                });
            }
        }
    }

    /// The variables in the brackets of a path.
    fn paths_in(&mut self, step: &Step, at: usize) {
        let Step::Computed(words) = step else {
            return;
        };
        let tokens: Vec<_> = words
            .iter()
            .map(|word| Token {
                at,
                word: word.clone(),
            })
            .collect();
        self.paths_of(&tokens, Use::Read);
    }
}

impl Use {
    fn passed(value: &[Token]) -> Self {
        if value.len() == 1 {
            Self::Passed
        } else {
            Self::Read
        }
    }
}

/// The name, if the token is a variable by itself.
fn root(token: Option<&Token>) -> Option<String> {
    match &token?.word {
        Word::Path(steps) if steps.len() == 1 => root_of(token),
        _ => None,
    }
}

/// The first name of a path.
fn root_of(token: Option<&Token>) -> Option<String> {
    match &token?.word {
        Word::Path(steps) => match steps.first()? {
            Step::Name(name) => Some(name.clone()),
            Step::Computed(_) => None,
        },
        _ => None,
    }
}
