//! What is kept under a name, judged by its words.

use super::Kind;

/// The last words of names. The first entry that fits counts: longer ones come first.
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
    (&["token", "secret"], Kind::ApiKey),
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
    (&["socialsecuritynumber"], Kind::SocialSecurityNumber),
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
    (&["creditcardnumber"], Kind::PaymentCard),
    (&["card", "code"], Kind::PaymentCard),
    (&["card", "security", "code"], Kind::PaymentCard),
    (&["cvv"], Kind::PaymentCard),
    (&["cvc"], Kind::PaymentCard),
];

const PASSWORDS: &[&str] = &["password", "passwd", "pwd", "passphrase", "passcode"];

/// Words that may follow: a `password_confirmation` is a password.
const AFTER_PASSWORD: &[&str] = &[
    "confirmation",
    "confirm",
    "repeat",
    "again",
    "hash",
    "digest",
    "plain",
];

/// Last words that only say in which form a datum is kept: `password: {value: "…"}`.
const FORMS: &[&str] = &[
    "value",
    "val",
    "raw",
    "plaintext",
    "string",
    "old",
    "new",
    "current",
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

/// Words before `token` that make it harmless: these tokens give no access by themselves.
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

/// Words before a card that make it harmless: these cards pay nothing.
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

/// A name, as far as it matters here: its last words, and whether it speaks of a state.
#[derive(Clone, Copy, Default)]
pub(super) struct Name<'n> {
    /// As many words as the longest ending has, and one before it; empty at the front if there are
    /// fewer.
    last: [&'n str; 4],
    /// The first word, which may be one of [`STATES`].
    first: &'n str,
}

impl<'n> Name<'n> {
    /// The name of a key.
    pub(super) fn of(name: &'n str) -> Self {
        Self::default().below(name)
    }

    /// The name of an entry in an object that has this name: `password` and `value` make
    /// `password_value`.
    pub(super) fn below(&self, name: &'n str) -> Self {
        let above = self.last.iter().rev().copied();
        let mut words = Words::of(name).chain(above);
        let mut last = [""; 4];
        for word in last.iter_mut().rev() {
            *word = words.next().unwrap_or_default();
        }
        let first = match self.first {
            "" => Words::of(name).last().unwrap_or_default(),
            first => first,
        };
        Self { last, first }
    }

    /// What kind of datum is kept under such a name; under that of an array, also in the plural.
    pub(super) fn kind(&self, plural: bool) -> Option<Kind> {
        let (mut last, mut plural) = (self.last, plural);
        while is_one_of(last[3], FORMS) {
            last = ["", last[0], last[1], last[2]];
            // What has a form may be one of many: `tokens: [{value: …}]`.
            plural = true;
        }
        if plural
            && last[3].len() > 3
            && let Some(singular) = last[3].strip_suffix(['s', 'S'])
        {
            last[3] = singular;
        }
        if is_password(&last) {
            return (!is_one_of(self.first, STATES)).then_some(Kind::Password);
        }
        let (ending, kind) = ENDINGS.iter().find(|(ending, _)| ends(&last, ending))?;
        let before = last[last.len() - ending.len() - 1];
        let harmless = match kind {
            Kind::Token => HARMLESS_TOKENS,
            Kind::PaymentCard => HARMLESS_CARDS,
            _ => &[],
        };
        (!is_one_of(before, harmless)).then_some(*kind)
    }
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|other| word.eq_ignore_ascii_case(other))
}

/// Whether the last words are these.
fn ends(words: &[&str], ending: &[&str]) -> bool {
    let last = &words[words.len() - ending.len()..];
    last.iter()
        .zip(ending)
        .all(|(word, other)| word.eq_ignore_ascii_case(other))
}

fn is_password(words: &[&str; 4]) -> bool {
    let words = match words {
        [rest @ .., last] if is_one_of(last, AFTER_PASSWORD) => rest,
        words => &words[1..],
    };
    let Some(last) = words.last() else {
        return false;
    };
    is_one_of(last, PASSWORDS)
        || is_joined(last)
        || ends(words, &["pass", "word"])
        || ends(words, &["pass", "phrase"])
}

/// Whether a word ends in `password`: `userpassword` is one, but `forgotpassword` is a state.
fn is_joined(word: &str) -> bool {
    const PASSWORD: &str = "password";
    word.len()
        .checked_sub(PASSWORD.len())
        .and_then(|at| word.split_at_checked(at))
        .is_some_and(|(before, last)| {
            last.eq_ignore_ascii_case(PASSWORD) && !is_one_of(before, STATES)
        })
}

/// The words of a name from the last to the first, without digits at their ends. `apiKey`, `APIKey` and
/// `api_key` have the same two.
struct Words<'n> {
    rest: &'n str,
}

impl<'n> Words<'n> {
    fn of(name: &'n str) -> Self {
        Self { rest: name }
    }
}

impl<'n> Iterator for Words<'n> {
    type Item = &'n str;

    fn next(&mut self) -> Option<&'n str> {
        // Digits alone are no word.
        self.rest = self
            .rest
            .trim_end_matches(|c: char| !c.is_alphanumeric() || c.is_ascii_digit());
        let name = self.rest;
        let mut start = name.len();
        let mut chars = name.char_indices().rev().peekable();
        let mut after = ' ';
        while let Some((at, c)) = chars.next() {
            if !c.is_alphanumeric() {
                break;
            }
            start = at;
            let before = chars.peek().map_or(' ', |(_, before)| *before);
            if c.is_uppercase()
                && (before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && after.is_lowercase())
            {
                break;
            }
            after = c;
        }
        let (rest, word) = name.split_at_checked(start)?;
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}
