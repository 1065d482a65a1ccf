//! `liquid-session check`: reads the templates of a site.

use std::collections::BTreeSet;

use lexopt::{Arg, Parser, ValueExt as _};
use liquid_session::check::{Finding, Kind, Report, check};

use crate::terminal::{Colour, Terminal, printable};
use crate::{Ended, Failure};

const HELP: &str = "\
Reads all templates of a site, and says what they do with the session and what is wrong.

usage: liquid-session check [--json] [--only KIND,…] [--deny KIND,…] FOLDER

  FOLDER       a site: views/pages, views/layouts, views/partials, lib and modules,
               in the folder or in its app
  --only KIND  shows findings of these kinds alone
  --deny KIND  counts notes of these kinds as findings
  --json       one JSON object: templates, pages, keys, findings
  --help       this text

It follows partials (include, render, function) and layouts. Each finding has its file, line
and column. The guide's page on findings shows a wrong and a right template for each kind.

findings:  syntax            the template does not parse
           missing-partial   a partial or a layout that is not in the folder
           never-written     a key that is read, and that nothing writes
           never-read        a key that is written, and that nothing reads
           session-root      session.key, where context.session.key is meant
           unknown-variable  a session value from a variable that nothing sets
           reserved-key      a key that can't be written
           sensitive-key     a key for data that do not belong in a session
           unescaped         a value that is printed without escape or json
           own-value         a value computed from its own old one
notes:     uncacheable       a GET page that writes, or a layout that reads the session
           dynamic-key       a key that is computed
           not-followed      a partial whose name is computed, or of a module elsewhere

What templates can't say stands in FOLDER/liquid-session.yml:

  host_writes: [user_name]    # keys that the program around the templates writes
  host_reads: [cart]          # keys that it reads
  host_variables: [company]   # variables that it gives to templates, beside context
  transactions: true          # it renders each page in a transaction

exit status: 0  no findings (there may be notes)
             1  findings
             2  the folder can't be read, or the command is wrong
";

pub(crate) fn run(mut arguments: Parser, terminal: &mut Terminal) -> Ended {
    let (mut folder, mut json) = (None, false);
    let (mut only, mut deny) = (BTreeSet::new(), BTreeSet::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                terminal.line(HELP.trim_end())?;
                return Ok(0);
            }
            Arg::Long("json") => json = true,
            Arg::Long("only") => kinds(&arguments.value()?.string()?, &mut only)?,
            Arg::Long("deny") => kinds(&arguments.value()?.string()?, &mut deny)?,
            Arg::Value(value) if folder.is_none() => folder = Some(value),
            unknown => return Err(unknown.unexpected().into()),
        }
    }
    let Some(folder) = folder else {
        return Err(Failure::Usage("expected a folder, found none".to_owned()));
    };

    terminal.progress(&format!("reading {}", folder.to_string_lossy()));
    let mut report = check(&folder)?;
    if !only.is_empty() {
        report
            .findings
            .retain(|finding| only.contains(&finding.kind));
    }
    let wrong = |finding: &&Finding| !finding.kind.is_note() || deny.contains(&finding.kind);
    let count = report.findings.iter().filter(wrong).count();
    if json {
        let text = serde_json::to_string(&report).map_err(std::io::Error::from)?;
        terminal.line(&text)?;
    } else {
        if only.is_empty() {
            tables(&report, terminal)?;
        }
        for finding in &report.findings {
            show(finding, wrong(&finding), terminal)?;
        }
        let notes = report.findings.len() - count;
        let summary = format!(
            "{} templates, {count} findings, {notes} notes",
            report.templates
        );
        let colour = if count > 0 {
            Colour::Red
        } else {
            Colour::Green
        };
        terminal.line(&terminal.paint(colour, &summary))?;
    }
    Ok(u8::from(count > 0))
}

fn kinds(names: &str, kinds: &mut BTreeSet<Kind>) -> Result<(), Failure> {
    for name in names.split(',') {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        kinds.insert(kind.ok_or_else(|| {
            let known = Kind::ALL.map(Kind::name).join(", ");
            Failure::Usage(format!(
                "there is no kind `{}`, expected one of {known}",
                printable(name)
            ))
        })?);
    }
    Ok(())
}

fn tables(report: &Report, terminal: &mut Terminal) -> std::io::Result<()> {
    let list = |keys: &BTreeSet<String>| {
        let keys: Vec<_> = keys.iter().map(|key| printable(key)).collect();
        if keys.is_empty() {
            "-".to_owned()
        } else {
            keys.join(", ")
        }
    };
    let rows: Vec<_> = report
        .pages
        .iter()
        .filter(|page| !page.reads.is_empty() || !page.writes.is_empty())
        .map(|page| {
            let name = format!("{} {}", page.method, page.path);
            [printable(&name), list(&page.reads), list(&page.writes)]
        })
        .collect();
    table(["page", "reads", "writes"], rows, terminal)?;
    let rows: Vec<_> = report
        .keys
        .iter()
        .map(|key| {
            let places = |places: &[String]| match places {
                [] => "-".to_owned(),
                [place] => printable(place),
                [place, rest @ ..] => format!("{} +{}", printable(place), rest.len()),
            };
            [printable(&key.key), places(&key.reads), places(&key.writes)]
        })
        .collect();
    table(["key", "read in", "written in"], rows, terminal)
}

fn table(head: [&str; 3], rows: Vec<[String; 3]>, terminal: &mut Terminal) -> std::io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let widths: Vec<_> = (0..2)
        .map(|at| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells.chain([head[at].len()]).max().unwrap_or_default()
        })
        .collect();
    let line = |cells: [&str; 3]| {
        format!(
            "{:first$}  {:second$}  {}",
            cells[0],
            cells[1],
            cells[2],
            first = widths[0],
            second = widths[1]
        )
    };
    terminal.line(&terminal.paint(Colour::Bold, line(head).trim_end()))?;
    for row in &rows {
        terminal.line(&line([&row[0], &row[1], &row[2]]))?;
    }
    terminal.line("")
}

fn show(finding: &Finding, wrong: bool, terminal: &mut Terminal) -> std::io::Result<()> {
    let colour = if wrong { Colour::Red } else { Colour::Yellow };
    let kind = terminal.paint(colour, finding.kind.name());
    let place = format!(
        "{}:{}:{}",
        printable(&finding.file),
        finding.line,
        finding.column
    );
    let place = terminal.paint(Colour::Bold, &place);
    terminal.line(&format!("{place}: {kind}: {}", printable(&finding.message)))?;
    // A line may be very long.
    let first = finding.column.saturating_sub(80);
    let excerpt: String = finding.source.chars().skip(first).take(120).collect();
    let excerpt = printable(&excerpt.replace('\t', " "));
    let number = finding.line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(finding.column.saturating_sub(1 + first));
    terminal.line(&terminal.paint(Colour::Dim, &format!("  {number} | {excerpt}")))?;
    terminal.line(&format!(
        "  {margin} | {indent}{}",
        terminal.paint(colour, "^")
    ))
}
