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

/// What kind of datum is kept under such a name; of an array, also in the plural.
pub(super) fn kind(name: &str, plural: bool) -> Option<Kind> {
    let mut words = Words::of(name);
    let mut word = words.next()?;
    if plural
        && word.len() > 3
        && let Some(singular) = word.strip_suffix(['s', 'S'])
    {
        word = singular;
    }
    if !may_end(word) {
        return None;
    }
    // As many as the longest ending has, and one before it; no more are needed, and none is copied.
    let mut last = ["", "", "", word];
    for word in last.iter_mut().rev().skip(1) {
        *word = words.next().unwrap_or_default();
    }
    if is_password(&last) {
        let first = Words::of(name).last().unwrap_or_default();
        return (!is_one_of(first, STATES)).then_some(Kind::Password);
    }
    let (ending, kind) = ENDINGS.iter().find(|(ending, _)| ends(&last, ending))?;
    let before = &last[last.len() - ending.len() - 1];
    let harmless = match kind {
        Kind::Token => HARMLESS_TOKENS,
        Kind::PaymentCard => HARMLESS_CARDS,
        _ => &[],
    };
    (!is_one_of(before, harmless)).then_some(*kind)
}

/// Whether something in the lists above ends in this word: most names do not, and are told by this.
fn may_end(word: &str) -> bool {
    let mut lower = [0; 20];
    let Some(lower) = lower.get_mut(..word.len()) else {
        // Longer ones are two words written as one.
        return true;
    };
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    match &*lower {
        b"key" | b"privatekey" | b"apikey" | b"accesskey" | b"secretkey" | b"secret" => true,
        b"token" | b"accesstoken" | b"authtoken" | b"refreshtoken" | b"jwt" => true,
        b"ssn" | b"number" | b"no" | b"num" | b"security" | b"socialsecuritynumber" => true,
        b"card" | b"cardnumber" | b"ccnumber" | b"ccnum" | b"creditcard" => true,
        b"creditcardnumber" | b"code" | b"cvv" | b"cvc" => true,
        b"passwd" | b"pwd" | b"passphrase" | b"passcode" | b"word" | b"phrase" => true,
        b"confirmation" | b"confirm" | b"repeat" | b"again" | b"hash" | b"digest" => true,
        b"plain" => true,
        other => other.ends_with(b"password"),
    }
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|other| word.eq_ignore_ascii_case(other))
}

/// From the last word on: that is where most names differ.
fn ends(words: &[&str], ending: &[&str]) -> bool {
    words
        .iter()
        .rev()
        .zip(ending.iter().rev())
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
    // `new_pass word`, two words, is as common as `pass_phrase` is not.
    is_one_of(last, PASSWORDS)
        || is_joined(last)
        || ends(words, &["pass", "word"])
        || ends(words, &["pass", "phrase"])
}

/// `userpassword`, which is a password, but not `forgotpassword`, which is a state.
fn is_joined(word: &str) -> bool {
    const PASSWORD: &str = "password";
    word.len()
        .checked_sub(PASSWORD.len())
        .and_then(|at| word.split_at_checked(at))
        .is_some_and(|(before, last)| {
            last.eq_ignore_ascii_case(PASSWORD) && !is_one_of(before, STATES)
        })
}

/// The words of a name from the last to the first, without digits at their ends. `apiKey` has two,
/// and so have `APIKey` and `api_key`.
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
        // A word of digits alone is none.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ending_is_told_too_early() {
        let last = ENDINGS.iter().filter_map(|(ending, _)| ending.last());
        for word in last.chain(PASSWORDS).chain(AFTER_PASSWORD) {
            assert!(may_end(word), "{word}");
            assert!(may_end(&word.to_uppercase()), "{word}");
        }
        assert!(!may_end("theme"));
    }
}
