//! What is wrong with a site.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::facts::How;
use super::settings::Settings;
use super::site::{Key, Site};
use super::{Finding, KeyUse, Kind, PageUse, Report, platform};
use crate::dialect::{Step, Word, line_column, translate_at};
use crate::error::{Error, Shown};
use crate::sensitive;
use crate::session::check_key;
use crate::value::Value;
use crate::views::Kind as Template;

pub(super) fn report(site: &Site<'_>, settings: &Settings) -> Result<Report, Error> {
    let mut checker = Checker {
        site,
        settings,
        findings: Vec::new(),
    };
    checker.syntax(&platform::parser()?);
    checker.calls();
    checker.keys();
    checker.names();
    checker.values();
    checker.prints();
    let pages = checker.pages();
    let mut findings = checker.findings;
    // A line that does not parse says little about its filters.
    let broken: HashSet<_> = findings
        .iter()
        .filter(|finding| finding.kind == Kind::Syntax)
        .map(|finding| (finding.file.clone(), finding.line))
        .collect();
    findings.retain(|finding| {
        finding.kind != Kind::Unescaped || !broken.contains(&(finding.file.clone(), finding.line))
    });
    findings.sort();
    findings.dedup();
    Ok(Report {
        templates: site.files.len(),
        pages,
        keys: keys(site),
        findings,
    })
}

struct Checker<'c> {
    site: &'c Site<'c>,
    settings: &'c Settings,
    findings: Vec<Finding>,
}

/// A template, and a byte of its source.
type Place = (usize, usize);

/// The place of the key `layout` in the front matter.
const FRONT: usize = usize::MAX;

impl Checker<'_> {
    fn add(&mut self, kind: Kind, (template, at): Place, message: String) {
        let file = &self.site.files[template];
        let (line, column, source) = if at == FRONT {
            let (line, source) = &file.layout_line;
            (*line, 1, source.as_str())
        } else {
            let (line, column) = line_column(&file.body, at);
            let source = file.body.lines().nth(line - 1).unwrap_or_default();
            (line + file.lines_before, column, source)
        };
        self.findings.push(Finding {
            file: file.shown.clone(),
            line,
            column,
            kind,
            message,
            source: source.trim_end().to_owned(),
        });
    }

    fn syntax(&mut self, parser: &liquid::Parser) {
        for file in self.site.files {
            if let (Err(problem), Template::Page) = (&file.front, file.kind) {
                self.findings.push(Finding {
                    file: file.shown.clone(),
                    line: 1,
                    column: 1,
                    kind: Kind::Syntax,
                    message: format!("the front matter can't be read: {problem}"),
                    source: "---".to_owned(),
                });
            }
            let source = translate_at(&file.body, &file.place());
            let Err(error) = parser.parse(&source) else {
                continue;
            };
            let told = error.to_string();
            // Every such key is a finding of its own.
            if told.contains("` is reserved: ") {
                continue;
            }
            let (line, column, message) = located(&told);
            let body = line.saturating_sub(file.lines_before + 1);
            let text = file.body.lines().nth(body).unwrap_or_default();
            self.findings.push(Finding {
                file: file.shown.clone(),
                line,
                column,
                kind: Kind::Syntax,
                message,
                source: text.trim_end().to_owned(),
            });
        }
    }

    fn calls(&mut self) {
        let site = self.site;
        let mut modules = HashSet::new();
        for (at, facts) in site.facts.iter().enumerate() {
            if let Err(name) = site.layout(at)
                && site.files[at].kind == Template::Page
            {
                self.missing("layout", name, (at, FRONT), &mut modules);
            }
            for (number, call) in facts.calls.iter().enumerate() {
                let place = (at, call.at);
                match &call.partial {
                    None => self.add(
                        Kind::NotFollowed,
                        place,
                        "the name of this partial is computed: what it does with the session is not known here".to_owned(),
                    ),
                    Some(name) if site.targets(at, number).is_empty() => {
                        if call.how == How::Theme {
                            continue;
                        }
                        self.missing("partial", name, place, &mut modules);
                    }
                    Some(_) => {}
                }
            }
        }
    }

    fn missing<'n>(
        &mut self,
        what: &str,
        name: &'n str,
        place: Place,
        modules: &mut HashSet<&'n str>,
    ) {
        match self.site.absent_module(name) {
            Some(module) => {
                if modules.insert(module) {
                    let module = Shown(module);
                    self.add(
                        Kind::NotFollowed,
                        place,
                        format!("the module `{module}` is not in this folder: what its templates do with the session is not known here"),
                    );
                }
            }
            None => {
                let name = Shown(name);
                self.add(
                    Kind::MissingPartial,
                    place,
                    format!("the {what} `{name}` is not in this folder"),
                );
            }
        }
    }

    /// Keys that are read and never written, or written and never read.
    fn keys(&mut self) {
        let site = self.site;
        let mut written: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
        for (at, facts) in site.facts.iter().enumerate() {
            for write in facts.writes.iter().filter(|write| !write.removes) {
                written.entry(&write.key).or_default().push((at, write.at));
            }
        }
        let mut read: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
        let mut any = false;
        for (at, reads) in site.reads.iter().enumerate() {
            for one in reads {
                match &one.key {
                    Key::Name(key) => read.entry(key).or_default().push(one.place),
                    Key::All => any = true,
                    Key::Unknown => {
                        any = true;
                        self.add(
                            Kind::DynamicKey,
                            (at, one.at),
                            "the key is computed: any key may be read here, so none is reported as never read".to_owned(),
                        );
                    }
                }
            }
        }
        let host = &self.settings.host_writes;
        let known: Vec<&str> = written
            .keys()
            .copied()
            .chain(host.iter().map(String::as_str))
            .collect();
        for (key, places) in &read {
            if known.contains(key) {
                continue;
            }
            let near = known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(key, known), known))
                .min()
                .filter(|(distance, _)| *distance <= 1 + key.chars().count() / 4);
            let hint = match near {
                Some((_, near)) => format!("; did you mean `{near}`?"),
                None => format!(
                    "; if the host writes it, list it under `host_writes` in {}",
                    super::SETTINGS
                ),
            };
            let key = Shown(key);
            let message = format!("nothing writes the key `{key}`{}{hint}", more(places));
            self.add(Kind::NeverWritten, places[0], message);
        }
        for (key, places) in &written {
            let is_read = any || read.contains_key(key) || self.settings.host_reads.contains(*key);
            // A key that can't be written is a finding already.
            if is_read || check_key(key).is_err() {
                continue;
            }
            let key = Shown(key);
            let message = format!(
                "nothing reads the key `{key}`{}; remove it, or list it under `host_reads` in {}",
                more(places),
                super::SETTINGS
            );
            self.add(Kind::NeverRead, places[0], message);
        }
    }

    /// Keys that are reserved or sensitive, and `session.key`.
    fn names(&mut self) {
        let site = self.site;
        for (at, facts) in site.facts.iter().enumerate() {
            for write in &facts.writes {
                let place = (at, write.at);
                if let Err(problem) = check_key(&write.key) {
                    self.add(Kind::ReservedKey, place, problem.to_string());
                } else if !write.removes
                    && let Some(found) = sensitive::find(&write.key, &Value::from("text"))
                {
                    let key = Shown(&write.key);
                    let kind = found.kind;
                    self.add(
                        Kind::SensitiveKey,
                        place,
                        format!("the name `{key}` says {kind}: a session is no place for it; `sensitive_data: deny` refuses it"),
                    );
                }
            }
            for path in &facts.paths {
                if let [Step::Name(root), Step::Name(key), ..] = &path.steps[..]
                    && root == "session"
                    && site.access(at, &path.steps).is_none()
                    && !site.is_set(at, root)
                {
                    let key = Shown(key);
                    self.add(
                        Kind::SessionRoot,
                        (at, path.at),
                        format!("nothing sets a variable `session`, so `session.{key}` is nil: write `context.session.{key}`"),
                    );
                }
            }
        }
    }

    /// The values of session tags.
    fn values(&mut self) {
        let site = self.site;
        for (at, facts) in site.facts.iter().enumerate() {
            for write in &facts.writes {
                let mut unknown = BTreeSet::new();
                for token in write.value.iter().flatten() {
                    if let Word::Path(steps) = &token.word
                        && let Some(Step::Name(root)) = steps.first()
                        && root != "session"
                        && !site.is_set(at, root)
                        && unknown.insert(root)
                    {
                        let (root, key) = (Shown(root), Shown(&write.key));
                        self.add(
                            Kind::UnknownVariable,
                            (at, token.at),
                            format!("nothing sets the variable `{root}`: without it this removes the key `{key}`"),
                        );
                    }
                }
                if self.settings.transactions || write.removes {
                    continue;
                }
                let mut keys = BTreeSet::new();
                for part in &write.value {
                    // A block's outputs stand behind its tag.
                    let before = part.first().map_or(write.at, |token| token.at);
                    site.derived(at, before, part, &mut HashSet::new(), &mut keys);
                }
                if keys.contains(&write.key) {
                    let key = Shown(&write.key);
                    self.add(
                        Kind::OwnValue,
                        (at, write.at),
                        format!("`{key}` is computed from its own old value: of two requests at the same time one is lost, unless the host renders in a transaction (then set `transactions: true` in {})", super::SETTINGS),
                    );
                }
            }
        }
    }

    /// Values that are printed as they are.
    fn prints(&mut self) {
        let site = self.site;
        let html: Vec<_> = (0..site.files.len())
            .filter(|at| match site.files[*at].kind {
                Template::Page => {
                    let front = site.files[*at].front.as_ref();
                    front.map_or(true, |front| front.format == "html")
                }
                Template::Layout => true,
                Template::Partial => !site.is_called(*at),
                Template::Other => false,
            })
            .collect();
        for at in site.reach(&html, |how| how != How::Function) {
            for print in site.facts[at].prints.iter().filter(|print| !print.kept) {
                let printed = site.printed_key(at, print.at, &print.value, &mut HashSet::new());
                let Some(key) = printed.filter(|key| !self.is_clean(key)) else {
                    continue;
                };
                let key = Shown(&key);
                self.add(
                    Kind::Unescaped,
                    (at, print.at),
                    format!("the session's `{key}` is printed as it is: add `| escape`, or `| json` in a script"),
                );
            }
        }
    }

    /// Whether everything that is written under a key is harmless in HTML.
    fn is_clean(&self, key: &str) -> bool {
        let site = self.site;
        let mut written = false;
        for (at, facts) in site.facts.iter().enumerate() {
            for write in facts.writes.iter().filter(|write| write.key == key) {
                if write.removes {
                    continue;
                }
                written = true;
                for part in &write.value {
                    let before = part.first().map_or(write.at, |token| token.at);
                    if !site.is_clean(at, before, part, &mut HashSet::new()) {
                        return false;
                    }
                }
            }
        }
        written && !self.settings.host_writes.contains(key)
    }

    fn pages(&mut self) -> Vec<PageUse> {
        let site = self.site;
        let mut pages = Vec::new();
        let mut layouts: BTreeMap<usize, usize> = BTreeMap::new();
        // By the place of their first write: the key, and their paths.
        let mut writers: BTreeMap<Place, (String, Vec<String>)> = BTreeMap::new();
        for (at, file) in site.files.iter().enumerate() {
            let (Template::Page, Ok(front)) = (file.kind, &file.front) else {
                continue;
            };
            let mut page = PageUse {
                method: front.method.to_uppercase(),
                path: front.path.clone(),
                file: file.shown.clone(),
                reads: BTreeSet::new(),
                writes: BTreeSet::new(),
            };
            let own = site.closure(at);
            let place = self.collect(&own, &mut page);
            let cacheable = front.method == "get";
            if let Some((place, key)) = place.filter(|_| cacheable) {
                let (_, paths) = writers.entry(place).or_insert_with(|| (key, Vec::new()));
                paths.push(page.path.clone());
            }
            if let Ok(Some(layout)) = site.layout(at) {
                let around = site.closure(layout);
                self.collect(&around, &mut page);
                if cacheable {
                    *layouts.entry(layout).or_default() += 1;
                }
            }
            pages.push(page);
        }
        for (place, (key, paths)) in writers {
            let (key, path) = (Shown(&key), Shown(&paths[0]));
            let pages = match paths.len() - 1 {
                0 => format!("GET {path} writes"),
                others => format!("GET {path} and others (in all {}) write", others + 1),
            };
            let message = format!(
                "{pages} `{key}`: the answer belongs to one visitor and may set a cookie, so it can't be cached"
            );
            self.add(Kind::Uncacheable, place, message);
        }
        for (layout, count) in layouts {
            let first = site
                .closure(layout)
                .into_iter()
                .find_map(|at| Some((at, site.reads[at].first()?)));
            if let Some((at, read)) = first {
                let key = match &read.key {
                    Key::Name(key) => format!("the session's `{}`", Shown(key)),
                    Key::All | Key::Unknown => "the session".to_owned(),
                };
                let name = Shown(&site.files[layout].name);
                let message = format!(
                    "the layout `{name}` reads {key}: pages in it (GET: {count}) can't be cached for all visitors"
                );
                self.add(Kind::Uncacheable, (at, read.at), message);
            }
        }
        pages
    }

    /// Adds what templates read and write. Returns the first write.
    fn collect(&self, templates: &[usize], page: &mut PageUse) -> Option<(Place, String)> {
        let mut first = None;
        for at in templates {
            for read in &self.site.reads[*at] {
                page.reads.insert(match &read.key {
                    Key::Name(key) => key.clone(),
                    Key::All | Key::Unknown => "*".to_owned(),
                });
            }
            let facts = &self.site.facts[*at];
            for write in &facts.writes {
                page.writes.insert(write.key.clone());
                first.get_or_insert_with(|| ((*at, write.at), write.key.clone()));
            }
            for clear in &facts.clears {
                page.writes.insert("*".to_owned());
                first.get_or_insert_with(|| ((*at, *clear), "*".to_owned()));
            }
        }
        first
    }
}

fn more(places: &[Place]) -> String {
    match places.len() - 1 {
        0 => String::new(),
        1 => " (and in 1 more place)".to_owned(),
        others => format!(" (and in {others} more places)"),
    }
}

fn keys(site: &Site<'_>) -> Vec<KeyUse> {
    let mut keys: BTreeMap<String, KeyUse> = BTreeMap::new();
    let mut add = |key: &str, (template, at): Place, writes: bool| {
        let file = &site.files[template];
        let line = line_column(&file.body, at).0 + file.lines_before;
        let place = format!("{}:{line}", file.shown);
        let used = keys.entry(key.to_owned()).or_insert_with(|| KeyUse {
            key: key.to_owned(),
            reads: Vec::new(),
            writes: Vec::new(),
        });
        let places = if writes {
            &mut used.writes
        } else {
            &mut used.reads
        };
        if !places.contains(&place) {
            places.push(place);
        }
    };
    for (at, facts) in site.facts.iter().enumerate() {
        for write in &facts.writes {
            add(&write.key, (at, write.at), true);
        }
        for read in &site.reads[at] {
            if let Key::Name(key) = &read.key {
                add(key, read.place, false);
            }
        }
    }
    keys.into_values().collect()
}

/// Takes line, column and problem out of the drawing of a syntax error.
fn located(told: &str) -> (usize, usize, String) {
    let place = told.split_once("--> ").and_then(|(_, rest)| {
        let mut parts = rest.lines().next()?.rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        Some((line, column))
    });
    let (line, column) = place.unwrap_or((1, 1));
    let problem = told.lines().map(str::trim_start);
    let problem = problem
        .filter_map(|line| line.strip_prefix("= "))
        .next_back();
    let problem = problem.unwrap_or_else(|| told.lines().next().unwrap_or_default());
    (line, column, problem.trim().to_owned())
}
