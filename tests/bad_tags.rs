//! What a template author is told about each bad form of the tag: one file each, with the message,
//! line and column in its snapshot.

use liquid_session::ParserBuilderExt as _;

#[test]
fn every_bad_form_says_what_is_wrong() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .sessions()
        .build()
        .unwrap();
    let mut files = 0;
    insta::glob!("../fixtures/templates/bad", "*.liquid", |path| {
        let template = std::fs::read_to_string(path).unwrap();
        let error = parser
            .parse(&template)
            .err()
            .expect("a bad form")
            .to_string();
        files += 1;
        insta::assert_snapshot!(error);
    });
    assert_eq!(files, 36, "a file was lost, or is new and not counted");
}

#[test]
fn the_tag_alone_has_no_block_form() {
    let parser = liquid::ParserBuilder::with_stdlib()
        .tag(liquid_session::template::SessionTag::new())
        .build()
        .unwrap();
    assert!(parser.parse("{% session x = 1 %}").is_ok());
    let error = parser.parse("{% session x %}").err().unwrap().to_string();
    assert!(
        error.contains("expected `=` after the session key"),
        "{error}"
    );
}
