//! One test per promise of the security list that concerns HTTP, by its number there.

mod cookie;
mod https;
mod lifecycle;
mod log;

use crate::support::Browser;

/// As a visitor would forge it: the right form, and nobody ever issued it.
const FORGED: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn secret(browser: &Browser) -> String {
    browser.secret.clone().expect("the browser has a cookie")
}
