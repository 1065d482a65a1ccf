//! Tags and blocks that the host registers with the engine.

use std::io::Write;

use liquid::partials::{InMemorySource, LazyCompiler};
use liquid_core::model::{DisplayCow, KStringCow, ObjectView, State, Value};
use liquid_core::parser::BlockElement;
use liquid_core::{
    BlockReflection, Expression, Language, ParseBlock, ParseTag, Renderable, Result, Runtime,
    TagBlock, TagReflection, TagTokenIter, Template, ValueView,
};
use liquid_session::dialect::{DialectExt as _, Translated, translate};

/// `{% say value, name: value %}`, under any name.
#[derive(Clone, Debug)]
struct Say(&'static str);

#[derive(Debug)]
struct Said(Vec<Expression>);

impl Renderable for Said {
    fn render_to(&self, out: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        for value in &self.0 {
            // As hosts evaluate: an unknown variable would be an error without the dialect.
            write!(out, "<{}>", value.evaluate(runtime)?.to_kstr()).unwrap();
        }
        Ok(())
    }
}

impl TagReflection for Say {
    fn tag(&self) -> &str {
        self.0
    }

    fn description(&self) -> &str {
        ""
    }
}

impl ParseTag for Say {
    fn parse(&self, tokens: TagTokenIter<'_>, _: &Language) -> Result<Box<dyn Renderable>> {
        let mut values = Vec::new();
        for token in tokens {
            if [",", ":", "==", "name"].contains(&token.as_str()) {
                continue;
            }
            values.push(token.expect_value().into_result_custom_msg("say what?")?);
        }
        Ok(Box::new(Said(values)))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

/// `{% attempt %}…{% rescue %}…{% endattempt %}`.
#[derive(Clone, Debug)]
struct Attempt;

#[derive(Debug)]
struct Attempted(Vec<Template>);

impl Renderable for Attempted {
    fn render_to(&self, out: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let mut text = Vec::new();
        match self.0[0].render_to(&mut text, runtime) {
            Ok(()) => out.write_all(&text).unwrap(),
            Err(_) => self.0[1].render_to(out, runtime)?,
        }
        Ok(())
    }
}

impl BlockReflection for Attempt {
    fn start_tag(&self) -> &str {
        "attempt"
    }

    fn end_tag(&self) -> &str {
        "endattempt"
    }

    fn description(&self) -> &str {
        ""
    }
}

impl ParseBlock for Attempt {
    fn parse(
        &self,
        mut arguments: TagTokenIter<'_>,
        mut block: TagBlock<'_, '_>,
        options: &Language,
    ) -> Result<Box<dyn Renderable>> {
        arguments.expect_nothing()?;
        let mut parts = vec![Vec::new()];
        while let Some(element) = block.next()? {
            match element {
                BlockElement::Tag(tag) if tag.name() == "rescue" => parts.push(Vec::new()),
                element => {
                    let parsed = element.parse(&mut block, options)?;
                    parts.last_mut().unwrap().push(parsed);
                }
            }
        }
        block.assert_empty();
        Ok(Box::new(Attempted(
            parts.into_iter().map(Template::new).collect(),
        )))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

/// A block that reads what it holds.
#[derive(Clone, Debug)]
struct Query;

#[derive(Debug)]
struct Text(String);

impl Renderable for Text {
    fn render_to(&self, out: &mut dyn Write, _: &dyn Runtime) -> Result<()> {
        out.write_all(self.0.trim().as_bytes()).unwrap();
        Ok(())
    }
}

impl BlockReflection for Query {
    fn start_tag(&self) -> &str {
        "query"
    }

    fn end_tag(&self) -> &str {
        "endquery"
    }

    fn description(&self) -> &str {
        ""
    }
}

impl ParseBlock for Query {
    fn parse(
        &self,
        _: TagTokenIter<'_>,
        mut block: TagBlock<'_, '_>,
        _: &Language,
    ) -> Result<Box<dyn Renderable>> {
        Ok(Box::new(Text(block.escape_liquid(false)?.to_owned())))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

/// An object of the host that must never be taken as a whole.
#[derive(Debug)]
struct Lazy(Vec<Value>);

impl ValueView for Lazy {
    fn as_debug(&self) -> &dyn std::fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        panic!("printed as a whole")
    }

    fn source(&self) -> DisplayCow<'_> {
        panic!("shown as a whole")
    }

    fn type_name(&self) -> &'static str {
        "object"
    }

    fn query_state(&self, state: State) -> bool {
        matches!(state, State::Truthy)
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        panic!("a text as a whole")
    }

    fn to_value(&self) -> Value {
        panic!("copied as a whole")
    }

    fn as_object(&self) -> Option<&dyn ObjectView> {
        Some(self)
    }
}

impl ObjectView for Lazy {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        3
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        panic!("listed")
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        panic!("listed")
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        panic!("listed")
    }

    fn contains_key(&self, index: &str) -> bool {
        ["t", "xs", "o"].contains(&index)
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        let at = ["t", "xs", "o"].iter().position(|name| *name == index)?;
        Some(&self.0[at])
    }
}

#[test]
fn a_lazy_object_of_the_host_is_read_below_and_never_copied() {
    let mut partials = InMemorySource::new();
    partials.add("p", "{{ lazy.t }}{{ context.t }}");
    partials.add("f", "{% return context.xs %}");
    let parser = liquid::ParserBuilder::with_stdlib()
        .dialect()
        .partials(LazyCompiler::new(Translated::new(partials)))
        .build()
        .unwrap();
    let template = "{{ context.t }}{{ context.t.size }}{{ context['t'].first }}{{ context.xs.last }}{{ context.xs.size }}\
        {{ context.o.k }}{{ context.no.x }}{{ context[no] }}{{ context.size }}{{ context | size }}\
        {% if context and context != nil and context != blank and context contains 't' %}y{% endif %}\
        {% for x in context.xs %}{{ x }}{{ context.t }}{% endfor %}{% assign t = context.t | append: context.o.k %}{{ t }}\
        {% include 'p', lazy: context %}{% render 'p', lazy: context %}{% function xs = 'f' %}{{ xs }}{% case context %}{% when 1 %}{% endcase %}";
    let globals = Lazy(vec![
        Value::scalar("text"),
        Value::array([Value::scalar(1), Value::scalar(2)]),
        Value::Object(liquid::object!({ "k": "v" })),
    ]);
    let page = parser.parse(&translate(template)).unwrap();
    let printed = page.render(&Context(globals)).unwrap();
    assert_eq!(printed, "text4t22v33y1text2texttextvtexttexttexttext12");
}

/// Globals with the lazy object alone.
#[derive(Debug)]
struct Context(Lazy);

impl ValueView for Context {
    fn as_debug(&self) -> &dyn std::fmt::Debug {
        self
    }

    fn render(&self) -> DisplayCow<'_> {
        self.0.render()
    }

    fn source(&self) -> DisplayCow<'_> {
        self.0.source()
    }

    fn type_name(&self) -> &'static str {
        "object"
    }

    fn query_state(&self, state: State) -> bool {
        self.0.query_state(state)
    }

    fn to_kstr(&self) -> KStringCow<'_> {
        self.0.to_kstr()
    }

    fn to_value(&self) -> Value {
        self.0.to_value()
    }

    fn as_object(&self) -> Option<&dyn ObjectView> {
        Some(self)
    }
}

impl ObjectView for Context {
    fn as_value(&self) -> &dyn ValueView {
        self
    }

    fn size(&self) -> i64 {
        1
    }

    fn keys<'k>(&'k self) -> Box<dyn Iterator<Item = KStringCow<'k>> + 'k> {
        Box::new(["context".into()].into_iter())
    }

    fn values<'k>(&'k self) -> Box<dyn Iterator<Item = &'k dyn ValueView> + 'k> {
        Box::new([&self.0 as &dyn ValueView].into_iter())
    }

    fn iter<'k>(&'k self) -> Box<dyn Iterator<Item = (KStringCow<'k>, &'k dyn ValueView)> + 'k> {
        Box::new([("context".into(), &self.0 as &dyn ValueView)].into_iter())
    }

    fn contains_key(&self, index: &str) -> bool {
        index == "context"
    }

    fn get<'s>(&'s self, index: &str) -> Option<&'s dyn ValueView> {
        (index == "context").then_some(&self.0)
    }
}

fn render(template: &str) -> std::result::Result<String, String> {
    let parser = liquid::ParserBuilder::with_stdlib()
        .dialect()
        .tag(Say("say"))
        .tag(Say("log"))
        .block(Attempt)
        .block(Query)
        .build()
        .unwrap();
    let globals = liquid::object!({ "o": { "a": 1 }, "xs": [1, 2] });
    parser
        .parse(&translate(template))
        .and_then(|page| page.render(&globals))
        .map_err(|error| error.to_string())
}

#[test]
fn a_host_s_tag_sees_the_dialect_s_values() {
    for (template, expected) in [
        ("{% say o.a, no, o.no.x %}", "<1><><>"),
        ("{% say o['a'], xs[0] xs[no], o[ 'a' ] %}", "<1><1><><1>"),
        (
            "{% say xs[o.a] %}{% say o['a'] == xs['first'] %}",
            "<2><1><1>",
        ),
        // The host's own takes the place of platformOS's.
        ("{% log o.a %}", "<1>"),
        ("{% say [1, 2], name: { \"k\": o.a } %}", "<12><k1>"),
        ("{%\tsay\u{A0}'a\tb' %}", "<a\tb>"),
        (
            "{% for x in xs %}{% say x, x.y %}{% endfor %}",
            "<1><><2><>",
        ),
        (
            "{% liquid\n  assign i = 0\n  say name: xs[i]\n  say name: o . a, xs[no]\n%}",
            "<1><1><>",
        ),
    ] {
        // Only values behind `=`, `:` and `,` are the dialect's; the first stands as it is.
        assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn a_host_s_block_holds_the_dialect() {
    for (template, expected) in [
        (
            "{% attempt %}{% echo 'a' %}{% rescue %}b{% endattempt %}",
            "a",
        ),
        (
            "{% attempt %}a{{ 1 | divided_by: 0 }}{% rescue %}{% liquid\n echo 'b'\n%}{% endattempt %}",
            "b",
        ),
        (
            "{% attempt %}{% attempt %}{{ 1 | divided_by: 0 }}{% rescue %}in{% endattempt %}out{% rescue %}no{% endattempt %}",
            "inout",
        ),
        (
            "{% for x in xs %}{% attempt %}{{ x }}{% break %}{% rescue %}{% endattempt %}never{% endfor %}ok",
            "1ok",
        ),
        (
            "{% liquid\n  attempt\n    say o.a\n  rescue\n  endattempt\n%}",
            "<1>",
        ),
        (
            "{% query %} { users { id } } {% endquery %}",
            "{ users { id } }",
        ),
    ] {
        assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn what_a_host_refuses_has_its_place() {
    for (template, place, problem) in [
        ("a\n\n  {% say o.a | upcase %}", "3:10", "say what?"),
        (
            "{% attempt %}{% rescu %}{% endattempt %}",
            "1:17",
            "unknown tag `rescu` in the block `attempt`",
        ),
        (
            "{% attempt %}\n{% if true %}\n{% rescue %}\n{% endif %}{% endattempt %}",
            "3:4",
            "unknown tag `rescue`",
        ),
        (
            "a\n{% attempt %}\n b",
            "2:1",
            "{% endattempt %} tag expected",
        ),
        ("{% attempt now %}{% endattempt %}", "1:12", ""),
        (
            "\n{% sya o.a %}",
            "2:4",
            "unknown tag `sya`, did you mean `say`?",
        ),
    ] {
        let error = render(template).unwrap_err();
        assert!(
            error.contains(&format!("--> {place}")),
            "{template}: {error}"
        );
        assert!(error.contains(problem), "{template}: {error}");
        assert!(!error.contains("__dialect"), "{template}: {error}");
    }
}

/// Each body is parsed once: were it parsed again at every level, this would not end.
#[test]
fn host_s_blocks_nest() {
    let depth = 90;
    let template = format!(
        "{}{{{{ o.a }}}}{}",
        "{% attempt %}{% if true %}".repeat(depth / 2),
        "{% endif %}{% rescue %}no{% endattempt %}".repeat(depth / 2)
    );
    assert_eq!(render(&template).as_deref(), Ok("1"));
}
