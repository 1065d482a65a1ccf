//! The sessions of a user.

use super::bench::{Bench, MINUTE, NOTHING, cookie, expect_error, expect_gone, key, login, renew};
use super::{Checked, Fresh};
use crate::error::ErrorKind;
use crate::limits::{MAX_LABEL_BYTES, MAX_USER_BYTES};
use crate::session::{Login, Status};
use crate::store::{Revoke, SessionInfo};

cases! { __acceptance_users:
/// Spring: findByPrincipalName.
fn a_login_lists_the_session(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    assert_eq!(bench.list("u1")?, []);
    let (cookie, id) = bench.sign_in("u1")?;
    assert_eq!(bench.list("u1")?, [id]);
    assert_eq!(bench.record(&cookie)?.user(), Some("u1"));
    assert_eq!(bench.open(&cookie).user()?.as_deref(), Some("u1"));
    // Also one that was there before.
    let old = bench.begin(&[("a", 1)])?;
    let id = bench.record(&old)?.id();
    login(&bench, &old, "u2")?;
    assert_eq!(bench.list("u2")?, [id]);
    Ok(())
}

fn a_session_without_a_user_is_not_listed(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let cookie = bench.begin(&[("user", "u1")])?;
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.list("")?, []);
    assert_eq!(bench.record(&cookie)?.user(), None);
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 0);
    assert_eq!(bench.count()?, 1);
    Ok(())
}

/// ASVS 7.5.2.
fn all_sessions_of_a_user_are_listed(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(bench.sign_in("u1")?.1);
        bench.sign_in("u2")?;
    }
    ids.sort();
    assert_eq!(bench.list("u1")?, ids);
    Ok(())
}

fn names_that_begin_alike_are_different_users(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let names = ["u1", "u10", "u", "U1", "u1 ", "u1\0", "u1:"];
    for name in names {
        bench.sign_in(name)?;
    }
    for name in names {
        assert_eq!(bench.list(name)?.len(), 1, "{name:?}");
    }
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 1);
    assert_eq!(bench.count()?, names.len() - 1);
    Ok(())
}

fn a_name_may_be_any_text(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let long = "u".repeat(MAX_USER_BYTES);
    for name in [
        "",
        " ",
        "*",
        "a/../b",
        "a\0b",
        "{u}",
        "żółw",
        "\u{1f422}",
        &long,
    ] {
        let (cookie, id) = bench.sign_in(name)?;
        assert_eq!(bench.record(&cookie)?.user(), Some(name));
        assert_eq!(bench.list(name)?, [id], "{name:?}");
        assert_eq!(bench.sessions.revoke(name, Revoke::One(id))?, 1);
        assert_eq!(bench.list(name)?, [], "{name:?}");
    }
    Ok(())
}

fn the_list_says_what_the_record_says(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, _) = bench.sign_in("u1")?;
    let expected = SessionInfo::from(&*bench.record(&cookie)?);
    assert_eq!(
        bench.sessions.user_sessions("u1")?,
        std::slice::from_ref(&expected)
    );
    bench.clock.advance(30 * MINUTE);
    bench.touch(&cookie)?;
    let moved = bench.sessions.user_sessions("u1")?;
    assert_eq!(moved, [SessionInfo::from(&*bench.record(&cookie)?)]);
    assert!(moved.iter().all(|info| info.deadline > expected.deadline));
    assert_eq!(bench.open(&cookie).user_sessions()?, moved);
    Ok(())
}

/// ASVS 7.5.2.
fn one_session_is_revoked(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (kept, kept_id) = bench.sign_in("u1")?;
    let (ended, ended_id) = bench.sign_in("u1")?;
    assert_eq!(bench.sessions.revoke("u1", Revoke::One(ended_id))?, 1);
    assert!(bench.find(&ended)?.is_none());
    assert!(bench.find(&kept)?.is_some());
    assert_eq!(bench.list("u1")?, [kept_id]);
    assert_eq!(bench.sessions.revoke("u1", Revoke::One(ended_id))?, 0);
    Ok(())
}

/// ASVS 7.4.3.
fn all_others_are_revoked(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (this, id) = bench.sign_in("u1")?;
    let others = [bench.sign_in("u1")?.0, bench.sign_in("u1")?.0];
    let (stranger, _) = bench.sign_in("u2")?;
    assert_eq!(bench.open(&this).revoke_others()?, 2);
    for other in &others {
        assert!(bench.find(other)?.is_none());
    }
    assert_eq!(bench.list("u1")?, [id]);
    assert!(bench.find(&this)?.is_some());
    assert!(bench.find(&stranger)?.is_some());
    assert_eq!(bench.open(&this).revoke_others()?, 0);
    Ok(())
}

/// ASVS 7.4.2.
fn all_are_revoked(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let mut cookies = Vec::new();
    for _ in 0..20 {
        cookies.push(bench.sign_in("u1")?.0);
    }
    let anonymous = bench.begin(&[("a", 1)])?;
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 20);
    for cookie in &cookies {
        assert!(bench.find(cookie)?.is_none());
    }
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 0);
    bench.expect(&anonymous, &[("a", 1)])?;
    // The user may come back.
    let (_, id) = bench.sign_in("u1")?;
    assert_eq!(bench.list("u1")?, [id]);
    Ok(())
}

fn only_the_users_own_sessions_are_revoked(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, id) = bench.sign_in("u1")?;
    let (own, _) = bench.sign_in("u2")?;
    assert_eq!(bench.sessions.revoke("u2", Revoke::One(id))?, 0);
    assert!(bench.find(&cookie)?.is_some());
    assert_eq!(bench.sessions.revoke("u2", Revoke::Others(id))?, 1);
    assert!(bench.find(&own)?.is_none());
    assert!(bench.find(&cookie)?.is_some());
    Ok(())
}

/// Two sign-ins in one request: the second user gets nothing of the first.
fn a_second_login_in_one_request_starts_empty(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    for start in [None, Some(&*old)] {
        let session = bench.sessions.open(start);
        session.login("u1")?;
        session.set("b", 2)?;
        session.login("u2")?;
        session.set("c", 3)?;
        let new = cookie(&session.commit()?)?;
        assert_eq!(bench.record(&new)?.user(), Some("u2"));
        bench.expect(&new, &[("c", 3)])?;
    }
    Ok(())
}

/// Spring: a changed principal.
fn a_login_of_somebody_else_moves_the_session(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, id) = bench.sign_in("u1")?;
    let moved = login(&bench, &cookie, "u2")?;
    assert_eq!(bench.list("u1")?, []);
    assert_eq!(bench.list("u2")?, [id]);
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 0);
    assert!(bench.find(&moved)?.is_some());
    assert_eq!(bench.sessions.revoke("u2", Revoke::All)?, 1);
    assert!(bench.find(&moved)?.is_none());
    Ok(())
}

fn a_login_of_somebody_else_empties_the_session(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, _) = bench.sign_in("u1")?;
    let session = bench.open(&cookie);
    session.set("cart", "of u1")?;
    let _ = session.commit()?;
    let moved = login(&bench, &cookie, "u2")?;
    bench.expect(&moved, NOTHING)
}

fn a_login_of_the_same_user_keeps_the_data(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, id) = bench.sign_in("u1")?;
    let session = bench.open(&cookie);
    session.set("cart", "full")?;
    let _ = session.commit()?;
    let again = login(&bench, &cookie, "u1")?;
    // ASVS 7.2.4: a re-authentication changes the secret too.
    assert_ne!(again, cookie);
    assert!(bench.find(&cookie)?.is_none());
    assert_eq!(bench.list("u1")?, [id]);
    bench.expect(&again, &[("cart", "full")])
}

fn a_login_without_a_commit_changes_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie, id) = bench.sign_in("u1")?;
    bench.open(&cookie).login("u2")?;
    bench.sessions.open(None).login("u2")?;
    assert_eq!(bench.list("u1")?, [id]);
    assert_eq!(bench.list("u2")?, []);
    assert_eq!(bench.count()?, 1);
    Ok(())
}

fn of_two_logins_one_wins(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let old = bench.begin(&[("a", 1)])?;
    let id = bench.record(&old)?.id();
    let (one, two) = (bench.open(&old), bench.open(&old));
    one.login("u1")?;
    two.login("u2")?;
    let new = cookie(&one.commit()?)?;
    expect_gone(&two.commit()?);
    assert_eq!(bench.list("u1")?, [id]);
    assert_eq!(bench.list("u2")?, []);
    assert_eq!(bench.count()?, 1);
    bench.expect(&new, &[("a", 1)])
}

fn a_refused_login_leaves_the_session_where_it_was(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::with(fresh, |config| config.max_keys(1))?;
    let (cookie, id) = bench.sign_in("u1")?;
    let (one, two) = (bench.open(&cookie), bench.open(&cookie));
    one.set("a", 1)?;
    one.login("u1")?;
    two.set("b", 1)?;
    let _ = two.commit()?;
    expect_error(one.commit(), ErrorKind::Limit);
    assert_eq!(bench.list("u1")?, [id]);
    bench.expect(&cookie, &[("b", 1)])
}

fn a_renewed_session_is_listed_once(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (mut now, id) = bench.sign_in("u1")?;
    for _ in 0..5 {
        now = renew(&bench, &now)?;
        assert_eq!(bench.list("u1")?, [id]);
    }
    assert_eq!(bench.sessions.revoke("u1", Revoke::One(id))?, 1);
    assert!(bench.find(&now)?.is_none());
    Ok(())
}

fn a_destroyed_session_leaves_the_list(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (ended, _) = bench.sign_in("u1")?;
    let (_, kept) = bench.sign_in("u1")?;
    bench.open(&ended).logout()?;
    assert_eq!(bench.list("u1")?, [kept]);
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 1);
    Ok(())
}

/// Spring leaked these for years (spring-session#1715, #2230, #2614).
fn an_expired_session_leaves_the_list(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    bench.sign_in("u1")?;
    bench.clock.advance(30 * MINUTE);
    let (_, kept) = bench.sign_in("u1")?;
    bench.clock.advance(30 * MINUTE);
    assert_eq!(bench.list("u1")?, [kept]);
    assert_eq!(bench.sessions.revoke("u1", Revoke::Others(kept))?, 0);
    assert_eq!(bench.sessions.revoke("u1", Revoke::All)?, 1);
    Ok(())
}

fn a_swept_session_leaves_the_list(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let begun = bench.now();
    bench.sign_in("u1")?;
    bench.clock.advance(60 * MINUTE);
    let (_, kept) = bench.sign_in("u1")?;
    bench.sweep(10, 1)?;
    assert_eq!(bench.list("u1")?, [kept]);
    if !bench.store.expires_by_itself() {
        bench.clock.set(begun);
        assert_eq!(bench.list("u1")?, [kept]);
    }
    Ok(())
}

fn a_session_opens_only_for_its_user(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (cookie_of_1, _) = bench.sign_in("u1")?;
    let session = bench.open(&cookie_of_1);
    session.set("a", 1)?;
    let _ = session.commit()?;
    let other = bench.open(&cookie_of_1);
    other.only_for("u2")?;
    assert_eq!(other.get("a")?, None);
    other.set("a", 2)?;
    let outcome = other.commit()?;
    assert_eq!(outcome.status(), Status::Created);
    bench.expect(&cookie(&outcome)?, &[("a", 2)])?;
    let other = bench.open(&cookie_of_1);
    other.only_for("u2")?;
    other.logout()?;
    bench.expect(&cookie_of_1, &[("a", 1)])
}

/// Through renewals, with and without time between them, a session never leaves the list.
fn the_index_keeps_a_session_through_renewals(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (mut now, id) = bench.sign_in("u1")?;
    for step in 0..30 {
        now = renew(&bench, &now)?;
        if step % 3 == 0 {
            bench.clock.advance(50 * MINUTE);
            bench.touch(&now)?;
        }
        let lines = bench.store.user_index("u1", bench.now())?;
        let current = key(&now)?;
        let found = lines.iter().any(|line| line.id == id && line.key == current);
        assert!(found, "renewal {step}: {lines:?}");
        assert_eq!(bench.list("u1")?, [id]);
    }
    assert_eq!(bench.sessions.revoke("u1", Revoke::One(id))?, 1);
    assert_eq!(bench.count()?, 0);
    Ok(())
}

fn a_label_comes_with_a_login(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let session = bench.sessions.open(None);
    let label = "ż".repeat(MAX_LABEL_BYTES / 2);
    session.login(Login::new("u1").label(&*label))?;
    let now = renew(&bench, &cookie(&session.commit()?)?)?;
    assert_eq!(bench.record(&now)?.label(), label);
    let labels = bench.sessions.user_sessions("u1")?;
    assert!(labels.iter().all(|info| info.label == label));
    assert_eq!(labels.len(), 1);
    Ok(())
}

/// The caller has to be alive: a session that was revoked ends no other.
fn a_revoked_session_revokes_nothing(fresh: Fresh<'_>) -> Checked {
    let bench = Bench::new(fresh)?;
    let (stolen, stolen_id) = bench.sign_in("u1")?;
    let (own, own_id) = bench.sign_in("u1")?;
    let slow = bench.open(&stolen);
    assert_eq!(slow.user()?.as_deref(), Some("u1"));
    assert_eq!(bench.sessions.revoke("u1", Revoke::One(stolen_id))?, 1);
    assert_eq!(slow.revoke_others()?, 0);
    assert_eq!(bench.list("u1")?, [own_id]);
    assert!(bench.find(&own)?.is_some());
    // One that was renewed meanwhile is alive.
    let slow = bench.open(&own);
    assert_eq!(slow.user()?.as_deref(), Some("u1"));
    renew(&bench, &own)?;
    bench.sign_in("u1")?;
    assert_eq!(slow.revoke_others()?, 1);
    assert_eq!(bench.list("u1")?, [own_id]);
    Ok(())
}
}
