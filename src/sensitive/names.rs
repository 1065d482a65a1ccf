//! What the words of a name say.

use super::Kind;

/// The last words of names, the longer before the shorter ones that end alike.
const ENDINGS: &[(&[&str], Kind)] = &[
    (&["private", "key"], Kind::PrivateKey),
    (&["privatekey"], Kind::PrivateKey),
    (&["api", "token"], Kind::ApiKey),
    (&["api", "key"], Kind::ApiKey),
    (&["apikey"], Kind::ApiKey),
    (&["access", "key"], Kind::ApiKey),
    (&["accesskey"], Kind::ApiKey),
    (&["secret", "key"], Kind::ApiKey),
    (&["secretkey"], Kind::ApiKey),
    (&["signing", "key"], Kind::ApiKey),
    (&["encryption", "key"], Kind::ApiKey),
    (&["api", "secret"], Kind::ApiKey),
    (&["app", "secret"], Kind::ApiKey),
    (&["client", "secret"], Kind::ApiKey),
    (&["consumer", "secret"], Kind::ApiKey),
    (&["shared", "secret"], Kind::ApiKey),
    (&["signing", "secret"], Kind::ApiKey),
    (&["webhook", "secret"], Kind::ApiKey),
    (&["token"], Kind::Token),
    (&["accesstoken"], Kind::Token),
    (&["authtoken"], Kind::Token),
    (&["refreshtoken"], Kind::Token),
    (&["jwt"], Kind::Token),
    (&["ssn"], Kind::SocialSecurityNumber),
    (
        &["social", "security", "number"],
        Kind::SocialSecurityNumber,
    ),
    (&["social", "security", "no"], Kind::SocialSecurityNumber),
    (&["social", "security"], Kind::SocialSecurityNumber),
    (&["card", "number"], Kind::PaymentCard),
    (&["card", "no"], Kind::PaymentCard),
    (&["card", "num"], Kind::PaymentCard),
    (&["cardnumber"], Kind::PaymentCard),
    (&["cc", "number"], Kind::PaymentCard),
    (&["cc", "num"], Kind::PaymentCard),
    (&["ccnumber"], Kind::PaymentCard),
    (&["ccnum"], Kind::PaymentCard),
    (&["credit", "card"], Kind::PaymentCard),
    (&["debit", "card"], Kind::PaymentCard),
    (&["creditcard"], Kind::PaymentCard),
    (&["card", "code"], Kind::PaymentCard),
    (&["card", "security", "code"], Kind::PaymentCard),
    (&["cvv"], Kind::PaymentCard),
    (&["cvc"], Kind::PaymentCard),
];

const PASSWORDS: &[&str] = &["password", "passwd", "pwd", "passphrase", "passcode"];

/// What may come after a password's name and still be one.
const AFTER_PASSWORD: &[&str] = &[
    "confirmation",
    "confirm",
    "repeat",
    "again",
    "hash",
    "digest",
    "plain",
];

/// Names that begin so speak of a password's state: `forgot_password: "mail sent"`.
const STATES: &[&str] = &[
    "has",
    "is",
    "no",
    "needs",
    "requires",
    "show",
    "hide",
    "forgot",
    "forgotten",
    "lost",
    "reset",
    "change",
    "wrong",
    "missing",
];

/// Tokens that open nothing by themselves.
const HARMLESS_TOKENS: &[&str] = &[
    "csrf",
    "xsrf",
    "forgery",
    "antiforgery",
    "authenticity",
    "form",
    "submit",
    "page",
    "next",
    "previous",
    "prev",
    "continuation",
    "cursor",
    "sync",
    "idempotency",
    "cart",
];

/// Cards that pay nothing.
const HARMLESS_CARDS: &[&str] = &[
    "gift",
    "loyalty",
    "member",
    "membership",
    "library",
    "bonus",
    "discount",
    "club",
    "id",
    "sim",
];

/// The longest name that is looked at has as many words; what comes before the last ones says little.
const MAX_WORDS: usize = 8;

/// What kind of datum is kept under such a name; of an array, also in the plural.
pub(super) fn kind(name: &str, plural: bool) -> Option<Kind> {
    if !may_match(name.as_bytes()) {
        return None;
    }
    let mut words = words(name);
    if plural
        && let Some(last) = words.last_mut()
        && last.len() > 3
        && last.ends_with('s')
    {
        last.pop();
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if is_password(&words) {
        return Some(Kind::Password);
    }
    let (ending, kind) = ENDINGS.iter().find(|(ending, _)| words.ends_with(ending))?;
    let before = words
        .len()
        .checked_sub(ending.len() + 1)
        .and_then(|at| words.get(at))
        .copied()
        .unwrap_or_default();
    let harmless = match kind {
        Kind::Token => HARMLESS_TOKENS.contains(&before),
        Kind::PaymentCard => HARMLESS_CARDS.contains(&before),
        _ => false,
    };
    (!harmless).then_some(*kind)
}

/// Whether a name holds two letters with which something in the lists above begins: most names do
/// not, and need not be split.
fn may_match(name: &[u8]) -> bool {
    // Of password, key, secret, token, ssn, social, card, cc, cvv, jwt and pwd.
    const STARTS: [&[u8]; 11] = [
        b"pa", b"ke", b"se", b"to", b"ss", b"so", b"ca", b"cc", b"cv", b"jw", b"pw",
    ];
    name.windows(2)
        .any(|pair| STARTS.iter().any(|start| pair.eq_ignore_ascii_case(start)))
}

fn is_password(words: &[&str]) -> bool {
    let words = match words {
        [rest @ .., last] if AFTER_PASSWORD.contains(last) => rest,
        words => words,
    };
    let Some(last) = words.last() else {
        return false;
    };
    let state = words.first().is_some_and(|first| STATES.contains(first));
    // `new_pass word`, two words, is as common as `pass_phrase` is not.
    let in_two = words.ends_with(&["pass", "word"]) || words.ends_with(&["pass", "phrase"]);
    !state && (PASSWORDS.contains(last) || in_two)
}

/// The last words of a name, in lower case, without digits at their ends.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut chars = name.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        // `apiKey` is two words, and so are `APIKey` and `api_key`.
        let begins = c.is_uppercase()
            && (before.is_lowercase()
                || before.is_numeric()
                || before.is_uppercase() && next.is_lowercase());
        if begins || !c.is_alphanumeric() {
            push(&mut words, &mut word);
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    push(&mut words, &mut word);
    words
}

fn push(words: &mut Vec<String>, word: &mut String) {
    let word = std::mem::take(word);
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    if word.is_empty() {
        return;
    }
    if words.len() == MAX_WORDS {
        words.remove(0);
    }
    words.push(word.to_owned());
}
