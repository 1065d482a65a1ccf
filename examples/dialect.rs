//! A page as platformOS templates are written, run as it is.
//!
//! ```sh
//! cargo run --example dialect --features dialect
//! ```

use liquid::partials::{InMemorySource, LazyCompiler};
use liquid_session::dialect::{DialectExt as _, Translated, translate};
use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};

const PAGE: &str = r#"{% liquid
  # Each line is a tag; what is unknown is nil.
  assign cart = context.session.cart | default: null
  if params.add
    assign item = { "name": params.add, "tags": ["new", "cart"] }
    assign cart = cart | array_add: item
    session cart = cart
    session flash = "Added"
  endif
  function total = 'cart/total', cart: cart
%}
{%- include 'flash', kind: "info" -%}
{% for item in cart %}{{ item.name }} ({{ item.tags | join: ", " }}) {% endfor %}total {{ total -}}
"#;

const FLASH: &str = r#"{% if context.session.flash != blank and kind %}<p class="{{ kind }}">{{ context.session.flash }}</p>{% session flash = null %}{% endif %}"#;

const TOTAL: &str = "{% liquid
  assign total = 0
  for item in cart
    assign total = total | plus: 1
  endfor
  return total
%}";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut partials = InMemorySource::new();
    partials.add("flash", FLASH);
    partials.add("cart/total", TOTAL);
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .dialect()
        .partials(LazyCompiler::new(Translated::new(partials)))
        .build()?;
    let page = parser.parse(&translate(PAGE))?;

    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let session = sessions.open(None);
    for params in [liquid::object!({ "add": "boots" }), liquid::object!({})] {
        let globals = liquid::object!({ "params": params });
        println!("{}", page.render(&session.bind(&globals))?);
    }

    let mistake = PAGE.replace("array_add", "array_ad");
    if let Err(error) = parser.parse(&translate(&mistake)) {
        println!("{error}");
    }
    Ok(())
}
