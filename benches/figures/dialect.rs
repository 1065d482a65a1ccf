//! The dialect against the plain engine: rendering the same page, and reading the same source.

use std::hint::black_box;
use std::time::Instant;

use liquid::partials::{EagerCompiler, InMemorySource};
use liquid_session::dialect::{DialectExt as _, Translated, translate};

use crate::pair::{Table, median, nanos};
use crate::templates::globals;

const ROW: &str = "<li>{{ product.name }} {{ product.price }}</li>";

/// What both take, and render the same.
const PAGES: [(&str, &str); 6] = [
    (
        "a shop's page",
        "<h1>{{ title | upcase }}</h1>{% assign shown = 0 %}{% for product in products %}\
         {% if product.price > 4 and product.name != title %}{% assign shown = shown | plus: 1 %}\
         {% include 'row' %}{% else %}<li>{{ product.name | append: '!' | escape }}</li>{% endif %}\
         {% endfor %}<p>{{ shown }} of {{ products | size }}</p>",
    ),
    (
        "20 products, included",
        "{% for product in products %}{% include 'row' %}{% endfor %}",
    ),
    (
        "20 products, rendered",
        "{% for product in products %}{% render 'row', product: product %}{% endfor %}",
    ),
    ("one output", "<h1>{{ title }}</h1>"),
    (
        "ten conditions",
        concat!(
            "{% if title == 'Shop' %}a{% endif %}{% if title != 'Shop' %}b{% endif %}",
            "{% if products %}a{% endif %}{% unless title == 'x' or title == 'y' %}c{% endunless %}",
            "{% if title contains 'ho' and products %}d{% endif %}{% case title %}{% when 'a' %}e{% when 'Shop' %}f{% endcase %}",
            "{% if title == 'Shop' %}a{% endif %}{% if title != 'Shop' %}b{% endif %}",
            "{% if products %}a{% endif %}{% unless title == 'x' or title == 'y' %}c{% endunless %}",
        ),
    ),
    (
        "ten filters",
        "{{ title | append: 'a' | prepend: 'b' | upcase | downcase | replace: 'a', 'c' | split: 'o' | join: '-' | size | plus: 2 | times: 3 }}",
    ),
];

/// Lines as templates have them.
fn source(lines: usize) -> String {
    let block = [
        "<div class=\"row\" id=\"row-1\">",
        "  {% if user.name == \"Ann\" and user.age > 17 %}",
        "    <p>Hello {{ user.name | upcase | append: '!' }}, this is a line of text.</p>",
        "  {% else %}",
        "    {% assign greeting = 'Hello' | append: user.name %}",
        "    <p>{{ greeting }}</p>",
        "  {% endif %}",
        "  {% for item in items %}{{ item.name }}: {{ item.price }}{% endfor %}",
        "  <p>Some text, which is longer than most of the markup around it, and has no tag.</p>",
        "</div>",
    ];
    block
        .iter()
        .cycle()
        .take(lines)
        .flat_map(|line| [*line, "\n"])
        .collect()
}

fn parsers() -> (liquid::Parser, liquid::Parser) {
    let mut partials = InMemorySource::new();
    partials.add("row", ROW);
    let plain = liquid::ParserBuilder::with_stdlib();
    let dialect = liquid::ParserBuilder::with_stdlib().dialect();
    let translated = EagerCompiler::new(Translated::new(partials.clone()));
    (
        dialect.partials(translated).build().unwrap(),
        plain
            .partials(EagerCompiler::new(partials))
            .build()
            .unwrap(),
    )
}

pub(crate) fn run(table: &mut Table) {
    let (dialect, plain) = parsers();
    let globals = globals();
    for (name, text) in PAGES {
        let ours = dialect.parse(&translate(text)).unwrap();
        let peer = plain.parse(text).unwrap();
        assert_eq!(
            ours.render(&globals).unwrap(),
            peer.render(&globals).unwrap()
        );
        table.pair(
            &format!("dialect, render: {name}"),
            "<= 1.50",
            || drop(black_box(ours.render(&globals).unwrap())),
            || drop(black_box(peer.render(&globals).unwrap())),
        );
    }
    for lines in [100, 1_000, 10_000, 100_000] {
        let text = source(lines);
        read(
            table,
            &format!("dialect, translate against parse, {lines} lines"),
            &text,
            |text| {
                black_box(translate(text));
            },
            |text| drop(plain.parse(text).unwrap()),
        );
        read(
            table,
            &format!("dialect, translate and parse, {lines} lines"),
            &text,
            |text| {
                drop(dialect.parse(&translate(text)).unwrap());
            },
            |text| drop(plain.parse(text).unwrap()),
        );
    }
}

/// A long source is read a few times only.
fn read(table: &mut Table, name: &str, text: &str, ours: impl Fn(&str), peer: impl Fn(&str)) {
    if !table.wants(name) {
        return;
    }
    let times = (200_000 / text.len()).clamp(1, 20);
    let time = |run: &dyn Fn(&str)| {
        let begun = Instant::now();
        for _ in 0..times {
            run(text);
        }
        begun.elapsed().as_nanos() as f64 / times as f64
    };
    let turns: Vec<_> = (0..5).map(|_| (time(&ours), time(&peer))).collect();
    let (ours, peer) = (
        median(turns.iter().map(|(ours, _)| *ours).collect()),
        median(turns.iter().map(|(_, peer)| *peer).collect()),
    );
    table.note(name, nanos(ours), nanos(peer), Some(ours / peer), "printed");
}
