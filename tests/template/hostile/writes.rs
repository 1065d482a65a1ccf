//! Much of everything.

use liquid_session::{Error, ErrorKind, Session};

use super::*;

#[test]
fn a_million_writes_hold_one_value() {
    let session = stored();
    let page = "{% for i in (1..1000) %}{% for j in (1..1000) %}{% session n = j %}{% endfor %}{% endfor %}";
    assert_eq!(render(&session, page).unwrap(), "");
    assert_eq!(session.get_as::<i64>("n").unwrap(), Some(1_000));
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    assert_eq!(session.entries().unwrap().len(), 2);
}

/// A template that reads keeps what it read until it ends, so what a request writes is counted.
#[test]
fn a_million_writes_that_are_read_are_refused() {
    let session = stored();
    let long = "x".repeat(2_000);
    let page = format!(
        "{{% for i in (1..1000) %}}{{% for j in (1..1000) %}}{{% session n = j | append: '{long}' %}}{{% assign s = context.session.n %}}{{% endfor %}}{{% endfor %}}"
    );
    let rendered = render(&session, &page);
    let error = rendered.as_ref().unwrap_err().to_string();
    let (_, counted) = error.split_once("one render read ").unwrap();
    let held: usize = counted.split(' ').next().unwrap().parse().unwrap();
    let budget = 256 * 4_096;
    assert!(error.contains(&format!("the limit is {budget} bytes")));
    assert!((budget..budget + 3_000).contains(&held), "{held}");
    fails_and_loses_nothing(rendered, &session, "one render read");
}

#[test]
fn a_text_that_grows_without_end_is_refused() {
    const WHY: &str = "the limit is 4096 bytes";
    for page in [
        // Doubled, to one MiB.
        "{% assign s = 'xxxxxxxx' %}{% for i in (1..17) %}{% assign s = s | append: s %}{% endfor %}{% session big = s %}",
        // In a block.
        "{% session big %}{% for i in (1..100000) %}xxxxxxxxxx{% endfor %}{% endsession %}",
        // Write by write.
        "{% for i in (1..1000) %}{% session big = context.session.big | append: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' %}{% endfor %}",
        // In a list.
        "{% assign s = 'x' %}{% for i in (1..17) %}{% assign s = s | append: s %}{% endfor %}{% assign list = s | split: '' %}{% session big = list %}",
        // As JSON, which grows by its own marks.
        "{% assign s = '\"' %}{% for i in (1..14) %}{% assign s = s | json %}{% endfor %}{% session big = s %}",
    ] {
        let session = stored();
        let rendered = render(&session, page);
        let error = rendered.as_ref().unwrap_err().to_string();
        assert!(error.len() < 600, "the text is not in it: {error}");
        fails_and_loses_nothing(rendered, &session, WHY);
    }
}

/// The value before stays, also when the render goes on by itself.
#[test]
fn what_was_written_before_the_limit_stays_with_plain_render() {
    let session = stored();
    let parser = parser_with(&[]);
    let page = parser
        .parse("{% for i in (1..1000) %}{% session big = context.session.big | append: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' %}{% endfor %}")
        .unwrap();
    assert!(page.render(&session.bind(&liquid::Object::new())).is_err());
    // `before` and `kept`, `big` and its type.
    let room = 4_096 - (6 + 5) - (3 + 1);
    let big: String = session.get_as("big").unwrap().unwrap();
    assert_eq!(big.len(), room / 64 * 64);
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
}

#[test]
fn many_keys_are_refused() {
    let session = stored();
    let page: String = (0..300)
        .map(|n| format!("{{% session key{n} = {n} %}}"))
        .collect();
    let why = "would hold 257 keys, the limit is 256";
    fails_and_loses_nothing(render(&session, &page), &session, why);

    // The host's loop, in the worst order for a sorted list.
    let session = stored();
    let mut refused = 0;
    for n in (0..20_000).rev() {
        match session.set(&format!("k{n:05}"), 1) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Limit);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 20_000 - 255);
    assert_eq!(session.commit().unwrap().status(), Status::Changed);
    assert_eq!(session.keys().unwrap().len(), 256);
    assert_eq!(session.get("before").unwrap(), Some("kept".into()));
}

/// Counts, while another request does the same the first time.
fn count_beside(session: &Session, rival: &mut Option<Session>) -> Result<i64, Error> {
    let n = session.increment("n", 1)?;
    if let Some(rival) = rival.take() {
        rival.increment("n", 1)?;
        let _ = rival.commit()?;
    }
    Ok(n)
}

/// What was staged before a transaction counts as a whole, whatever comes first by name.
#[test]
fn a_removal_makes_room_in_a_transaction_too() {
    let sessions = Counted::default().sessions();
    let session = sessions.open(None);
    session.set("z", "z".repeat(3_000)).unwrap();
    let cookie = session.commit().unwrap().secret().unwrap().expose();
    let session = sessions.open(Some(&cookie));
    session.remove("z").unwrap();
    session.set("a", "a".repeat(3_000)).unwrap();
    let mut rival = Some(sessions.open(Some(&cookie)));
    let (n, _) = session
        .transaction(|session| count_beside(session, &mut rival))
        .unwrap();
    assert_eq!(n, 2, "the second attempt");
    assert_eq!(session.keys().unwrap(), ["a", "n"]);

    // And what is too much as a whole still is.
    let session = sessions.open(Some(&cookie));
    session.set("b", "b".repeat(1_000)).unwrap();
    let rival = sessions.open(Some(&cookie));
    rival.set("c", "c".repeat(1_000)).unwrap();
    let mut rival = Some(rival);
    let error = session
        .transaction(|session| count_beside(session, &mut rival))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(session.keys().unwrap(), ["a", "c", "n"]);
}
