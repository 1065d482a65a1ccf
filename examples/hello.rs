//! Page, layout and the stored session, in twenty lines.

use liquid_session::{MemoryStore, ParserBuilderExt as _, SessionConfig, Sessions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parser = liquid::ParserBuilder::with_stdlib().sessions().build()?;
    let page = parser.parse("{% session color = params.color %}<p>Hello {{ name }}</p>")?;
    let layout = parser
        .parse("<body class=\"{{ context.session.color }}\">{{ content_for_layout }}</body>")?;
    let globals = liquid::object!({ "name": "Ann", "params": { "color": "dark" } });

    let sessions = Sessions::new(MemoryStore::new(), SessionConfig::default());
    let session = sessions.open(None);
    let content = session.render(&page, &globals)?;
    let bound = session.bind(&globals).with("content_for_layout", content);
    println!("{}", session.render_bound(&layout, &bound)?);

    println!("{:?}", session.commit()?.status());
    println!("{:?}", session.entries()?);
    Ok(())
}
