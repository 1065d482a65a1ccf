//! Parses a whole template: which block holds what.

use liquid_core::{Language, Result};

use super::envelope;
use super::host::{self, Bodies};
use super::markup::{Brackets, Markup};
use super::nearest;
use super::node::{Body, Element, Node};
use super::scan::{Piece, Scanner, Tag, open_quote};
use super::source::{Source, Span};
use super::tags;

/// Ruby Liquid's limit of blocks in blocks.
const DEEPEST: usize = 100;

pub(super) struct Parser<'p> {
    pub(super) source: Source,
    pub(super) options: &'p Language,
    scanner: Scanner,
    /// The open blocks, from the outside in.
    open: Vec<Open>,
    /// The bodies of the host's blocks.
    pub(super) bodies: Bodies,
    /// The tags that parse though they are not registered.
    #[cfg(feature = "cli")]
    foreign: super::foreign::Foreign,
}

#[derive(Clone, Copy)]
struct Open {
    tag: Tag,
    /// Whether it is a block of the host, which may know tags that are not registered.
    host: bool,
}

/// A parsed tag, and whether it prints nothing.
pub(super) struct Parsed {
    pub(super) node: Box<dyn Node>,
    pub(super) blank: bool,
}

impl Parsed {
    pub(super) fn new(node: impl Node + 'static) -> Self {
        Self {
            node: Box::new(node),
            blank: false,
        }
    }

    pub(super) fn silent(node: impl Node + 'static) -> Self {
        Self {
            node: Box::new(node),
            blank: true,
        }
    }
}

impl<'p> Parser<'p> {
    pub(super) fn new(source: &Source, options: &'p Language) -> Self {
        Self {
            source: source.clone(),
            options,
            scanner: Scanner::document(source.clone()),
            open: Vec::new(),
            bodies: Bodies::default(),
            #[cfg(feature = "cli")]
            foreign: &[],
        }
    }

    /// Lets these tags parse too.
    #[cfg(feature = "cli")]
    pub(super) fn with_foreign(self, foreign: super::foreign::Foreign) -> Self {
        Self { foreign, ..self }
    }

    /// Parses the template.
    pub(super) fn template(mut self) -> Result<Body> {
        let (body, _) = self.until(&[])?;
        Ok(body)
    }

    pub(super) fn markup(&self, tag: Tag) -> Markup<'_> {
        Markup::new(&self.source, tag.markup)
    }

    /// Parses the branches of a block up to its end, each with the tag that begins it. If all of them
    /// print only white space, it is removed.
    pub(super) fn branches(
        &mut self,
        tag: Tag,
        middle: &[&str],
        end: &str,
    ) -> Result<Vec<(Tag, Body)>> {
        let mut branches = self.all_branches(tag, middle, end)?;
        if branches.iter().all(|(_, body)| body.blank) {
            branches
                .iter_mut()
                .for_each(|(_, body)| body.remove_texts());
        }
        Ok(branches)
    }

    fn all_branches(&mut self, tag: Tag, middle: &[&str], end: &str) -> Result<Vec<(Tag, Body)>> {
        self.enter(tag, false)?;
        let mut ends = middle.to_vec();
        ends.push(end);
        let mut branches = Vec::new();
        let mut begin = tag;
        loop {
            let (body, stop) = self.until(&ends)?;
            let Some(stop) = stop else {
                return Err(self.unclosed(tag, end));
            };
            branches.push((begin, body));
            if self.source.get(stop.name) == end {
                self.open.pop();
                return Ok(branches);
            }
            begin = stop;
        }
    }

    /// Parses the only body of a block. Its white space is kept.
    pub(super) fn body(&mut self, tag: Tag, end: &str) -> Result<Body> {
        let branches = self.all_branches(tag, &[], end)?;
        Ok(branches
            .into_iter()
            .next()
            .map(|(_, body)| body)
            .unwrap_or_default())
    }

    /// Parses a host's block, divided by the tags that only the block knows. Returns nothing if the end
    /// is missing.
    pub(super) fn host_parts(&mut self, tag: Tag, end: &str) -> Result<Option<Vec<(Tag, Body)>>> {
        self.enter(tag, true)?;
        let mut parts = Vec::new();
        let mut begin = tag;
        loop {
            let (body, stop) = self.until(&[end])?;
            let Some(stop) = stop else {
                return Ok(None);
            };
            parts.push((begin, body));
            if self.source.get(stop.name) == end {
                self.open.pop();
                return Ok(Some(parts));
            }
            begin = stop;
        }
    }

    fn enter(&mut self, tag: Tag, host: bool) -> Result<()> {
        if self.open.len() >= DEEPEST {
            return Err(self.source.error(
                tag.all,
                &format!("blocks nest deeper than the limit of {DEEPEST} levels"),
            ));
        }
        self.open.push(Open { tag, host });
        Ok(())
    }

    fn unclosed(&self, tag: Tag, end: &str) -> liquid_core::Error {
        let name = self.source.get(tag.name);
        let place = if self.scanner.is_liquid() {
            " in the same `liquid` block"
        } else {
            ""
        };
        let problem = format!("`{name}` is never closed: expected `{end}`{place}");
        self.source.error(tag.all, &problem)
    }

    /// Parses up to one of these tags, which is consumed, or to the end of the source.
    fn until(&mut self, ends: &[&str]) -> Result<(Body, Option<Tag>)> {
        let mut body = Body {
            elements: Vec::new(),
            blank: true,
        };
        let stop = self.fill(&mut body, ends)?;
        Ok((body, stop))
    }

    fn fill(&mut self, body: &mut Body, ends: &[&str]) -> Result<Option<Tag>> {
        while let Some(piece) = self.scanner.next()? {
            match piece {
                Piece::Text(span) => {
                    let text = self.source.get(span);
                    body.blank &= text.trim().is_empty();
                    if !text.is_empty() {
                        body.elements.push(Element::Text(span));
                    }
                }
                Piece::Output { all, markup } => {
                    body.blank = false;
                    self.output(body, all, markup)?;
                }
                Piece::Tag(tag) => {
                    let source = self.source.clone();
                    let name = source.get(tag.name);
                    if ends.contains(&name) || self.tag(body, tag, name)? {
                        return Ok(Some(tag));
                    }
                }
            }
        }
        Ok(None)
    }

    fn output(&mut self, body: &mut Body, all: Span, span: Span) -> Result<()> {
        if span.is_empty() {
            return Ok(());
        }
        let mut markup = Markup::new(&self.source, span);
        let chain = markup.chain(self.options, Brackets::Lookup)?;
        markup.expect_end("{{ value | filter: argument }}")?;
        body.elements.push(Element::Output(all, chain));
        Ok(())
    }

    /// Parses a tag. Returns whether it is unknown and left to the host's block around it.
    fn tag(&mut self, body: &mut Body, tag: Tag, name: &str) -> Result<bool> {
        let parsed = match name {
            "#" => {
                self.check_comment(tag)?;
                return Ok(false);
            }
            "liquid" => {
                self.liquid(body, tag)?;
                return Ok(false);
            }
            // Nothing escapes an output here, so that both do the same.
            "echo" | "print" if name == "echo" || !host::knows(self.options, name) => {
                body.blank = false;
                self.output(body, tag.all, tag.markup)?;
                return Ok(false);
            }
            "raw" => {
                let text = self.verbatim(tag, "endraw")?;
                body.blank &= text.is_empty();
                body.elements.push(Element::Text(text));
                return Ok(false);
            }
            "doc" => {
                let text = self.verbatim(tag, "enddoc")?;
                self.check_doc(text)?;
                return Ok(false);
            }
            "comment" => {
                self.comment(tag)?;
                return Ok(false);
            }
            "" | envelope::TAG => return Err(self.nameless(tag)),
            name => match self.known(tag, name)? {
                Some(parsed) => parsed,
                None if self.open.last().is_some_and(|open| open.host) => return Ok(true),
                None => return Err(self.unknown(tag, name)),
            },
        };
        body.blank &= parsed.blank;
        body.elements.push(Element::Tag(tag.all, parsed.node));
        Ok(false)
    }

    /// Parses a tag of the dialect or of the host. Returns nothing if neither has it.
    fn known(&mut self, tag: Tag, name: &str) -> Result<Option<Parsed>> {
        if let Some(parsed) = tags::parse(self, tag, name)? {
            return Ok(Some(parsed));
        }
        if host::knows(self.options, name) {
            return host::parse(self, tag, name).map(Some);
        }
        #[cfg(feature = "cli")]
        if let Some(parsed) = super::foreign::parse(self, self.foreign, tag, name)? {
            return Ok(Some(parsed));
        }
        Ok(None)
    }

    /// Parses `{% liquid … %}` into the body around it.
    fn liquid(&mut self, body: &mut Body, tag: Tag) -> Result<()> {
        let lines = Scanner::lines(self.source.clone(), tag.markup);
        self.enter(tag, false)?;
        let outer = std::mem::replace(&mut self.scanner, lines);
        self.fill(body, &[])?;
        self.scanner = outer;
        self.open.pop();
        Ok(())
    }

    fn check_comment(&self, tag: Tag) -> Result<()> {
        let text = self.source.get(tag.markup);
        for (at, line) in text
            .match_indices('\n')
            .map(|(at, _)| (at, &text[at + 1..]))
        {
            let line = line.lines().next().unwrap_or_default();
            let rest = line.trim_start();
            if !rest.is_empty() && !rest.starts_with('#') {
                let start = tag.markup.start + at + 1 + (line.len() - rest.len());
                return Err(self.source.error(
                    (start..start + rest.len()).into(),
                    "every line of a `#` comment begins with `#`",
                ));
            }
        }
        Ok(())
    }

    fn verbatim(&mut self, tag: Tag, end: &str) -> Result<Span> {
        if !tag.markup.is_empty() {
            let name = self.source.get(tag.name);
            let problem = format!("`{name}` takes no arguments");
            return Err(self.source.error(tag.markup, &problem));
        }
        match self.scanner.verbatim(end) {
            Some(text) => Ok(text),
            None => Err(self.unclosed(tag, end)),
        }
    }

    fn check_doc(&self, text: Span) -> Result<()> {
        let mut rest = text;
        while let Some(at) = self.source.get(rest).find("{%") {
            let start = rest.start + at;
            rest = (start + 2..text.end).into();
            let inner = self.source.get(rest);
            let inner = inner.strip_prefix('-').unwrap_or(inner).trim_start();
            let word = inner.split(|c: char| !c.is_alphanumeric()).next();
            if word == Some("doc") {
                return Err(self
                    .source
                    .error((start..start + 2).into(), "`doc` can't hold another `doc`"));
            }
        }
        Ok(())
    }

    /// Skips a comment tag by tag, with the comments and `raw` blocks in it.
    fn comment(&mut self, tag: Tag) -> Result<()> {
        let mut depth = 1;
        while depth > 0 {
            let Some(inner) = self.scanner.next_of_comment()? else {
                return Err(self.unclosed(tag, "endcomment"));
            };
            match self.source.get(inner.name) {
                "comment" => depth += 1,
                "endcomment" => depth -= 1,
                "raw" if self.scanner.verbatim("endraw").is_none() => {
                    return Err(self.unclosed(inner, "endraw"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn nameless(&self, tag: Tag) -> liquid_core::Error {
        let inner = self.source.get(tag.all);
        let problem = if inner.contains(envelope::TAG) {
            "this template was translated before: translate a source once"
        } else {
            "the name of a tag is missing: expected {% name … %}"
        };
        self.source.error(tag.all, problem)
    }

    fn unknown(&self, tag: Tag, name: &str) -> liquid_core::Error {
        let middle = ["else", "elsif", "when"].contains(&name);
        let open = self.open.iter().rev().map(|open| open.tag);
        let open: Vec<_> = open.map(|tag| (self.source.get(tag.name), tag)).collect();
        let known = tags::NAMES.iter().copied().chain(host::names(self.options));
        let problem = match open.first() {
            _ if name == "endliquid" => "`liquid` needs no end: it ends with its `%}`".to_owned(),
            Some((block, begin)) if middle || name.starts_with("end") => {
                let (line, _) = self.source.line_column(begin.all.start);
                let need = if *block == "liquid" {
                    "the lines of this `liquid` block hold no open block".to_owned()
                } else {
                    format!("the open block is `{block}` of line {line}, expected `end{block}`")
                };
                format!("`{name}` belongs to no open block here: {need}")
            }
            None if middle || name.starts_with("end") => {
                format!("`{name}` belongs to no open block here")
            }
            _ => format!("unknown tag `{name}`{}", nearest(name, known)),
        };
        self.source.error(tag.name, &problem)
    }

    /// Fails if a string is not closed.
    pub(super) fn check_quotes(&self, span: Span) -> Result<()> {
        let text = self.source.get(span);
        let Some(quote) = open_quote(text) else {
            return Ok(());
        };
        // The one that opens the text: all before it are pairs.
        let mut from = 0;
        while let Some(at) = text[from..].find(['"', '\'']) {
            let at = from + at;
            let same = text[at..].chars().next().unwrap_or(quote);
            match text[at + 1..].find(same) {
                Some(length) => from = at + length + 2,
                None => {
                    let start = span.start + at;
                    return Err(self.source.error(
                        (start..start + 1).into(),
                        &format!("the quote {quote} is never closed in this tag"),
                    ));
                }
            }
        }
        Ok(())
    }
}
