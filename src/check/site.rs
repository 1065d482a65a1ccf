//! The templates of a site together: who calls whom, and where values come from.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::facts::{Call, Facts, How, Path, Set, Use};
use super::platform::{SAFE_FILTERS, VARIABLES};
use super::settings::Settings;
use crate::dialect::{Step, Token, Word};
use crate::views::{File, Kind};

pub(super) struct Site<'f> {
    pub(super) files: &'f [File],
    pub(super) facts: Vec<Facts>,
    /// Partials by name.
    partials: HashMap<String, usize>,
    layouts: HashMap<&'f str, usize>,
    modules: HashSet<&'f str>,
    /// The templates that each call of a template leads to.
    targets: Vec<Vec<Vec<usize>>>,
    /// The calls that lead to a template.
    callers: Vec<Vec<(usize, usize)>>,
    /// Variables that hold the whole session.
    aliases: Vec<BTreeSet<String>>,
    pub(super) reads: Vec<Vec<Read>>,
    host_variables: &'f BTreeSet<String>,
}

/// A read of the session.
pub(super) struct Read {
    pub(super) key: Key,
    /// Where it is written that this key is read.
    pub(super) place: (usize, usize),
    pub(super) at: usize,
}

pub(super) enum Key {
    Name(String),
    /// Computed, and it is not known from what.
    Unknown,
    /// All keys.
    All,
}

/// A value that a variable may have: tokens in a template, up to a place of it.
#[derive(Clone)]
struct Origin<'s> {
    template: usize,
    at: usize,
    parts: Vec<&'s [Token]>,
    block: bool,
    call: Option<usize>,
}

type Seen = HashSet<(usize, String, usize)>;

/// How many steps a value is followed: each takes a part of the stack.
const STEPS: usize = 400;

/// What a path reads below the session.
pub(super) fn below_context(steps: &[Step]) -> Option<&[Step]> {
    match steps {
        [Step::Name(context), Step::Name(session), rest @ ..]
            if context == "context" && session == "session" =>
        {
            Some(rest)
        }
        _ => None,
    }
}

impl<'f> Site<'f> {
    pub(super) fn new(files: &'f [File], settings: &'f Settings) -> Self {
        let facts: Vec<_> = files.iter().map(|file| Facts::of(&file.body)).collect();
        let (mut partials, mut layouts) = (HashMap::new(), HashMap::new());
        for (at, file) in files.iter().enumerate() {
            match file.kind {
                Kind::Partial => {
                    for name in file.names() {
                        partials.entry(name).or_insert(at);
                    }
                }
                Kind::Layout => {
                    layouts.insert(file.name.as_str(), at);
                }
                Kind::Page | Kind::Other => {}
            }
        }
        let modules = files.iter().filter_map(|file| module(&file.name)).collect();
        let mut site = Self {
            files,
            partials,
            layouts,
            modules,
            targets: Vec::new(),
            callers: files.iter().map(|_| Vec::new()).collect(),
            aliases: files.iter().map(|_| BTreeSet::new()).collect(),
            reads: Vec::new(),
            host_variables: &settings.host_variables,
            facts,
        };
        site.link();
        site.find_aliases();
        site.reads = (0..files.len()).map(|at| site.reads_of(at)).collect();
        site
    }

    fn link(&mut self) {
        for (at, facts) in self.facts.iter().enumerate() {
            let mut targets = Vec::new();
            for (number, call) in facts.calls.iter().enumerate() {
                let found = self.lookup(call);
                for target in &found {
                    self.callers[*target].push((at, number));
                }
                targets.push(found);
            }
            self.targets.push(targets);
        }
    }

    fn lookup(&self, call: &Call) -> Vec<usize> {
        let Some(name) = &call.partial else {
            return Vec::new();
        };
        let name = name.trim_start_matches('/');
        let name = name.strip_suffix(".liquid").unwrap_or(name);
        let name = name.strip_suffix(".html").unwrap_or(name);
        if let Some(found) = self.partials.get(name) {
            return vec![*found];
        }
        if call.how != How::Theme {
            return Vec::new();
        }
        let end = format!("/{name}");
        let mut found: Vec<_> = self
            .partials
            .iter()
            .filter(|(known, _)| known.ends_with(&end))
            .map(|(_, at)| *at)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether a name is one of a module that is not in the folder.
    pub(super) fn absent_module<'n>(&self, name: &'n str) -> Option<&'n str> {
        module(name).filter(|module| !self.modules.contains(module))
    }

    pub(super) fn targets(&self, template: usize, call: usize) -> &[usize] {
        &self.targets[template][call]
    }

    pub(super) fn is_called(&self, template: usize) -> bool {
        !self.callers[template].is_empty()
    }

    /// The layout of a page, or the name of the one that is missing.
    pub(super) fn layout(&self, page: usize) -> Result<Option<usize>, &'f str> {
        let Ok(front) = &self.files[page].front else {
            return Ok(None);
        };
        match (&front.redirect_to, front.layout.as_deref()) {
            (Some(_), _) | (_, Some("")) => Ok(None),
            (None, None) => Ok(self.layouts.get("application").copied()),
            (None, Some(name)) => match self.layouts.get(name) {
                Some(layout) => Ok(Some(*layout)),
                None => Err(name),
            },
        }
    }

    /// A template and all that it calls.
    pub(super) fn closure(&self, from: usize) -> Vec<usize> {
        self.reach(&[from], |_| true)
    }

    /// The templates that these call, in ways that `follow` takes.
    pub(super) fn reach(&self, from: &[usize], follow: impl Fn(How) -> bool) -> Vec<usize> {
        let mut found = from.to_vec();
        let mut seen: HashSet<usize> = from.iter().copied().collect();
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            next += 1;
            for (call, targets) in self.facts[at].calls.iter().zip(&self.targets[at]) {
                for target in targets.iter().filter(|_| follow(call.how)) {
                    if seen.insert(*target) {
                        found.push(*target);
                    }
                }
            }
        }
        found
    }

    fn find_aliases(&mut self) {
        loop {
            let mut new: Vec<(usize, String)> = Vec::new();
            for (at, facts) in self.facts.iter().enumerate() {
                let is_session = |value: &[Token]| match value {
                    [token] => match &token.word {
                        Word::Path(steps) => self.access(at, steps).is_some_and(<[_]>::is_empty),
                        _ => false,
                    },
                    _ => false,
                };
                for set in &facts.sets {
                    if !set.block && set.value.len() == 1 && is_session(&set.value[0]) {
                        new.push((at, set.name.clone()));
                    }
                }
                for (call, targets) in facts.calls.iter().zip(&self.targets[at]) {
                    for target in targets {
                        for (name, value) in &call.arguments {
                            if is_session(value) {
                                new.push((*target, name.clone()));
                            }
                        }
                        if call.how == How::Include {
                            let all = self.aliases[at].iter();
                            new.extend(all.map(|alias| (*target, alias.clone())));
                        }
                    }
                }
            }
            let mut changed = false;
            for (at, name) in new {
                changed |= self.aliases[at].insert(name);
            }
            if !changed {
                return;
            }
        }
    }

    /// What a path reads below the session, if it does.
    pub(super) fn access<'p>(&self, template: usize, steps: &'p [Step]) -> Option<&'p [Step]> {
        if let Some(rest) = below_context(steps) {
            return Some(rest);
        }
        match steps.split_first()? {
            (Step::Name(root), rest) if self.aliases[template].contains(root) => Some(rest),
            _ => None,
        }
    }

    fn reads_of(&self, template: usize) -> Vec<Read> {
        let mut reads = Vec::new();
        for path in &self.facts[template].paths {
            self.read(template, path, &mut reads);
        }
        reads
    }

    fn read(&self, template: usize, path: &Path, reads: &mut Vec<Read>) {
        let Some(rest) = self.access(template, &path.steps) else {
            return;
        };
        let here = (template, path.at);
        let mut add = |key, place| {
            reads.push(Read {
                key,
                place,
                at: path.at,
            });
        };
        match rest.first() {
            None if path.how == Use::Read => add(Key::All, here),
            None => {}
            Some(Step::Name(key)) if key == "session_id" || key == "size" => {}
            Some(Step::Name(key)) => add(Key::Name(key.clone()), here),
            Some(Step::Computed(words)) => {
                let tokens: Vec<_> = words
                    .iter()
                    .map(|word| Token {
                        at: path.at,
                        word: word.clone(),
                    })
                    .collect();
                let mut texts = Vec::new();
                let complete =
                    self.texts(template, path.at, &tokens, &mut texts, &mut HashSet::new());
                for (text, place) in &texts {
                    add(Key::Name(text.clone()), *place);
                }
                if !complete || texts.is_empty() {
                    add(Key::Unknown, here);
                }
            }
        }
    }

    /// Collects the texts that a value may be. Returns whether these are all.
    fn texts(
        &self,
        template: usize,
        before: usize,
        tokens: &[Token],
        texts: &mut Vec<(String, (usize, usize))>,
        seen: &mut Seen,
    ) -> bool {
        let mut complete = !tokens.is_empty();
        for token in tokens {
            match &token.word {
                Word::Text(text) => texts.push((text.clone(), (template, token.at))),
                Word::Path(steps) => match &steps[..] {
                    [Step::Name(name)] => {
                        if !seen.insert((template, name.clone(), before)) {
                            continue;
                        }
                        let origins = self.origins(template, name, before, seen);
                        complete &= !origins.is_empty();
                        for origin in origins {
                            complete &= origin.call.is_none() && !origin.block;
                            for part in &origin.parts {
                                complete &=
                                    self.texts(origin.template, origin.at, part, texts, seen);
                            }
                        }
                    }
                    _ => complete = false,
                },
                Word::Filter(name) if name == "default" => {}
                _ => complete = false,
            }
        }
        complete
    }

    /// The values that a variable may have before a place of a template.
    fn origins(
        &self,
        template: usize,
        name: &str,
        before: usize,
        seen: &mut Seen,
    ) -> Vec<Origin<'_>> {
        let facts = &self.facts[template];
        if seen.len() > STEPS || facts.opaque.iter().any(|opaque| opaque == name) {
            return Vec::new();
        }
        let mut own: Vec<&Set> = facts
            .sets
            .iter()
            .filter(|set| set.name == name && set.at < before)
            .collect();
        // The last whole value, and the changes of its parts since.
        if let Some(whole) = own.iter().rposition(|set| !set.part) {
            own.drain(..whole);
        }
        let mut origins: Vec<_> = own
            .into_iter()
            .map(|set| Origin {
                template,
                at: set.at,
                parts: set.value.iter().map(Vec::as_slice).collect(),
                block: set.block,
                call: set.call,
            })
            .collect();
        if !origins.is_empty() {
            return origins;
        }
        // What an included partial has set.
        for (call, targets) in facts.calls.iter().zip(&self.targets[template]) {
            if call.how == How::Include && call.at < before {
                for target in targets {
                    let ends = self.files[*target].body.len() + 1;
                    if seen.insert((*target, name.to_owned(), ends))
                        && self.facts[*target].sets.iter().any(|set| set.name == name)
                    {
                        origins.extend(self.origins(*target, name, ends, seen));
                    }
                }
            }
        }
        if !origins.is_empty() {
            return origins;
        }
        for (caller, number) in &self.callers[template] {
            let call = &self.facts[*caller].calls[*number];
            let given = call.arguments.iter().find(|(own, _)| own == name);
            if let Some((_, value)) = given {
                origins.push(Origin {
                    template: *caller,
                    at: call.at,
                    parts: vec![value],
                    block: false,
                    call: None,
                });
            } else if matches!(call.how, How::Include | How::Theme)
                && seen.insert((*caller, name.to_owned(), call.at))
            {
                origins.extend(self.origins(*caller, name, call.at, seen));
            }
        }
        origins
    }

    /// The session keys that a value is computed from.
    pub(super) fn derived(
        &self,
        template: usize,
        before: usize,
        tokens: &[Token],
        seen: &mut Seen,
        keys: &mut BTreeSet<String>,
    ) {
        for token in tokens {
            let Word::Path(steps) = &token.word else {
                continue;
            };
            if let Some(rest) = self.access(template, steps) {
                if let Some(Step::Name(key)) = rest.first() {
                    keys.insert(key.clone());
                }
                continue;
            }
            let Some(Step::Name(root)) = steps.first() else {
                continue;
            };
            if !seen.insert((template, root.clone(), before)) {
                continue;
            }
            for origin in self.origins(template, root, before, seen) {
                for part in &origin.parts {
                    self.derived(origin.template, origin.at, part, seen, keys);
                }
                if let Some(call) = origin.call {
                    for target in &self.targets[origin.template][call] {
                        for value in &self.facts[*target].returns {
                            let end = value.first().map_or(0, |token| token.at);
                            self.derived(*target, end, value, seen, keys);
                        }
                    }
                }
            }
        }
    }

    /// Whether a value can't hold markup that a visitor wrote.
    pub(super) fn is_clean(
        &self,
        template: usize,
        before: usize,
        tokens: &[Token],
        seen: &mut Seen,
    ) -> bool {
        if tokens.iter().any(|token| is_safe_filter(&token.word)) {
            return true;
        }
        tokens.iter().all(|token| {
            let Word::Path(steps) = &token.word else {
                return true;
            };
            if ends_with_size(steps) {
                return true;
            }
            let (Some(Step::Name(root)), None) = (steps.first(), self.access(template, steps))
            else {
                return false;
            };
            if root == "forloop" || !seen.insert((template, root.clone(), before)) {
                return true;
            }
            let origins = self.origins(template, root, before, seen);
            !origins.is_empty()
                && origins.iter().all(|origin| {
                    origin.call.is_none()
                        && origin
                            .parts
                            .iter()
                            .all(|part| self.is_clean(origin.template, origin.at, part, seen))
                })
        })
    }

    /// The session key that an output prints, if nothing on the way makes it safe.
    pub(super) fn printed_key(
        &self,
        template: usize,
        before: usize,
        tokens: &[Token],
        seen: &mut Seen,
    ) -> Option<String> {
        let Word::Path(steps) = &tokens.first()?.word else {
            return None;
        };
        if ends_with_size(steps) || tokens.iter().any(|token| is_safe_filter(&token.word)) {
            return None;
        }
        // A condition prints `true` or `false`; `t` prints a translation.
        let other = tokens[1..].iter().any(|token| match &token.word {
            Word::Symbol(c) => ['=', '<', '>', '!'].contains(c),
            Word::Filter(name) => ["t", "translate"].contains(&name.as_str()),
            _ => false,
        });
        if other {
            return None;
        }
        if let Some(rest) = self.access(template, steps) {
            return match rest.first() {
                Some(Step::Name(key)) if key != "session_id" && key != "size" => Some(key.clone()),
                _ => None,
            };
        }
        let Some(Step::Name(root)) = steps.first() else {
            return None;
        };
        if !seen.insert((template, root.clone(), before)) {
            return None;
        }
        let origins = self.origins(template, root, before, seen);
        match &origins[..] {
            [origin] if !origin.block && origin.call.is_none() && origin.parts.len() == 1 => {
                self.printed_key(origin.template, origin.at, origin.parts[0], seen)
            }
            _ => None,
        }
    }

    /// Whether a variable may have a value in a template.
    pub(super) fn is_set(&self, template: usize, name: &str) -> bool {
        VARIABLES.contains(&name)
            || self.host_variables.contains(name)
            || self.is_set_in(template, name, &mut HashSet::new())
    }

    fn is_set_in(&self, template: usize, name: &str, seen: &mut HashSet<usize>) -> bool {
        if !seen.insert(template) {
            return false;
        }
        if seen.len() > STEPS {
            return true;
        }
        let facts = &self.facts[template];
        // Nothing is known of who calls it.
        let unknown = self.files[template].kind != Kind::Page
            && self.files[template].kind != Kind::Layout
            && self.callers[template].is_empty();
        unknown
            || facts.opaque.iter().any(|opaque| opaque == name)
            || facts.sets.iter().any(|set| set.name == name)
            || facts
                .calls
                .iter()
                .zip(&self.targets[template])
                .any(|(call, targets)| {
                    call.how == How::Include
                        && (call.partial.is_none()
                            || targets.iter().any(|target| {
                                let facts = &self.facts[*target];
                                facts.sets.iter().any(|set| set.name == name)
                            }))
                })
            || self.callers[template].iter().any(|(caller, number)| {
                let call = &self.facts[*caller].calls[*number];
                call.arguments.iter().any(|(given, _)| given == name)
                    || matches!(call.how, How::Include | How::Theme)
                        && self.is_set_in(*caller, name, seen)
            })
    }
}

fn module(name: &str) -> Option<&str> {
    let (module, _) = name.strip_prefix("modules/")?.split_once('/')?;
    Some(module)
}

pub(super) fn is_safe_filter(word: &Word) -> bool {
    match word {
        Word::Filter(name) => SAFE_FILTERS.contains(&name.as_str()),
        _ => false,
    }
}

fn ends_with_size(steps: &[Step]) -> bool {
    steps.len() > 1 && steps.last() == Some(&Step::Name("size".to_owned()))
}
