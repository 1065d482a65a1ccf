//! What a text or a number is, judged by its form.

use smallvec::SmallVec;

use super::Kind;

/// The first sensitive datum in a text.
pub(super) fn in_text(text: &str) -> Option<Kind> {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        // Letters of other alphabets may stand beside a number: `卡号4111…`.
        let starts_word = !before.is_ascii_alphanumeric();
        before = c;
        let (head, rest) = text.split_at(at);
        let found = match c {
            '-' => is_private_key(rest).then_some(Kind::PrivateKey),
            '0'..='9' if starts_word && starts_number(head) => number(head, rest),
            'A'..='Z' | 'a'..='z' if starts_word => is_api_key(rest).then_some(Kind::ApiKey),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Whether a whole number is a card number, with or without a minus sign.
pub(super) fn is_card(number: i64) -> bool {
    is_card_number(number.unsigned_abs().to_string().as_bytes())
}

/// Whether a fractional number is a card number without a fraction.
pub(super) fn is_fractional_card(number: f64) -> bool {
    /// Larger whole numbers are not exact as `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.fract() == 0.0 && number.abs() < EXACT && is_card(number as i64)
}

/// What may follow the prefix of an API key.
#[derive(Clone, Copy)]
enum Alphabet {
    /// Capitals and digits.
    Capitals,
    /// Letters and digits.
    Letters,
    /// Letters, digits, `_` and `-`.
    Url,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Letters => byte.is_ascii_alphanumeric(),
            Self::Url => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-',
        }
    }
}

/// The forms of API keys as their issuers document them: prefix, alphabet of the rest, and its least
/// and greatest length.
const API_KEYS: &[(&str, Alphabet, usize, usize)] = &[
    // AWS, long-lived and temporary.
    ("AKIA", Alphabet::Capitals, 16, 16),
    ("ASIA", Alphabet::Capitals, 16, 16),
    // Google.
    ("AIza", Alphabet::Url, 35, 35),
    // GitHub.
    ("ghp_", Alphabet::Letters, 36, 255),
    ("gho_", Alphabet::Letters, 36, 255),
    ("ghu_", Alphabet::Letters, 36, 255),
    ("ghs_", Alphabet::Letters, 36, 255),
    ("ghr_", Alphabet::Letters, 36, 255),
    ("github_pat_", Alphabet::Url, 36, 255),
    // GitLab.
    ("glpat-", Alphabet::Url, 20, 255),
    // Stripe; its test keys pass.
    ("sk_live_", Alphabet::Letters, 16, 255),
    ("rk_live_", Alphabet::Letters, 16, 255),
    // Slack.
    ("xoxa-", Alphabet::Url, 10, 255),
    ("xoxb-", Alphabet::Url, 10, 255),
    ("xoxe-", Alphabet::Url, 10, 255),
    ("xoxo-", Alphabet::Url, 10, 255),
    ("xoxp-", Alphabet::Url, 10, 255),
    ("xoxr-", Alphabet::Url, 10, 255),
    ("xoxs-", Alphabet::Url, 10, 255),
    // SendGrid: two parts, of which the first is enough.
    ("SG.", Alphabet::Url, 22, 22),
    // npm.
    ("npm_", Alphabet::Letters, 36, 36),
    // OpenAI and Anthropic.
    ("sk-proj-", Alphabet::Url, 32, 255),
    ("sk-ant-", Alphabet::Url, 32, 255),
];

fn is_api_key(text: &str) -> bool {
    API_KEYS.iter().any(|&(prefix, alphabet, least, most)| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            let key = rest.bytes().take_while(|&byte| alphabet.has(byte));
            // One more than allowed is enough to refuse it.
            let len = key.clone().take(most + 1).count();
            // `xoxo-hugs-and-kisses` has no digit, a key always has.
            (least..=most).contains(&len) && key.take(most).any(|byte| byte.is_ascii_digit())
        })
    })
}

/// `-----BEGIN RSA PRIVATE KEY-----`, `-----BEGIN PGP PRIVATE KEY BLOCK-----` and so on.
fn is_private_key(text: &str) -> bool {
    text.strip_prefix("-----BEGIN ")
        .and_then(|label| label.split_once("-----"))
        .is_some_and(|(label, _)| {
            label.len() <= 64 && !label.contains('-') && label.contains("PRIVATE KEY")
        })
}

/// Whether digits after this text may begin a number of their own: they are not the decimals of
/// another number, a phone number or the rest of an IBAN.
fn starts_number(before: &str) -> bool {
    match before.as_bytes() {
        [.., b'+'] => false,
        [.., digit, b'.'] => !digit.is_ascii_digit(),
        before => !is_iban(before),
    }
}

/// Whether a text ends in the beginning of an IBAN as it is printed: country, check digits, and groups
/// of four.
fn is_iban(mut text: &[u8]) -> bool {
    // The longest has 34 letters and digits.
    for _ in 0..8 {
        let [head @ .., a, b, c, d, b' '] = text else {
            return false;
        };
        let group = [a, b, c, d];
        if !group.iter().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        if a.is_ascii_uppercase()
            && b.is_ascii_uppercase()
            && c.is_ascii_digit()
            && d.is_ascii_digit()
        {
            return true;
        }
        text = head;
    }
    false
}

/// What the digits at the front of a text are.
fn number(before: &str, text: &str) -> Option<Kind> {
    let number = Digits::read(text);
    let run = number.groups.first().map_or(0, |group| group.digits.len());
    let in_one_piece: &[usize] = &[run];
    if number.is_social_security_number(before) {
        Some(Kind::SocialSecurityNumber)
    } else if number.is_card(in_one_piece) || CARD_GROUPS.iter().any(|it| number.is_card(it)) {
        Some(Kind::PaymentCard)
    } else {
        None
    }
}

/// The groups in which digits stand on cards, and are typed.
const CARD_GROUPS: &[&[usize]] = &[
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 5],
    &[4, 4, 4, 4, 3],
    &[6, 13],
    &[4, 3, 3, 3],
];

/// The most groups that a number has.
const MOST_GROUPS: usize = 5;

/// The longest card number.
const LONGEST: usize = 19;

/// Groups of digits, with the same gap between all of them.
struct Digits<'t> {
    gap: &'t str,
    groups: SmallVec<[Group<'t>; MOST_GROUPS]>,
}

struct Group<'t> {
    digits: &'t str,
    after: &'t str,
}

impl<'t> Digits<'t> {
    /// Reads the groups at the front of a text.
    fn read(text: &'t str) -> Self {
        let (mut gap, mut rest) = ("", text);
        let mut groups = SmallVec::new();
        while groups.len() < MOST_GROUPS {
            let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
            if digits.is_empty() {
                break;
            }
            groups.push(Group { digits, after });
            let (this, next) = split_while(after, is_gap);
            let is_wide = this.chars().nth(3).is_some();
            if this.is_empty() || is_wide || groups.len() > 1 && this != gap {
                break;
            }
            (gap, rest) = (this, next);
        }
        Self { gap, groups }
    }

    /// The digits of the first groups and the text after them, if the groups have these lengths and the
    /// number ends there.
    fn first(&self, lengths: &[usize]) -> Option<(SmallVec<[u8; LONGEST]>, &'t str)> {
        let groups = self.groups.get(..lengths.len())?;
        let after = groups.last()?.after;
        let fits = groups
            .iter()
            .map(|group| group.digits.len())
            .eq(lengths.iter().copied());
        (fits && ends(after)).then(|| {
            let digits = groups.iter().flat_map(|group| group.digits.bytes());
            (digits.collect(), after)
        })
    }

    fn is_card(&self, lengths: &[usize]) -> bool {
        self.first(lengths)
            .is_some_and(|(digits, _)| is_card_number(&digits))
    }

    /// `AAA-GG-SSSS` in the ranges that are given out: no 000, 666 or 9xx, no 00, no 0000 (SSA, RM
    /// 10201.035).
    fn is_social_security_number(&self, before: &str) -> bool {
        let mut gap = self.gap.chars();
        let has_hyphens = gap.next().is_some_and(is_dash) && gap.next().is_none();
        let Some((digits, after)) = self.first(&[3, 2, 4]).filter(|_| has_hyphens) else {
            return false;
        };
        let (area, rest) = digits.split_at(3);
        let (group, serial) = rest.split_at(2);
        !before.ends_with(is_dash)
            && !after.starts_with(is_dash)
            && area != b"000"
            && area != b"666"
            && !area.starts_with(b"9")
            && group != b"00"
            && serial != b"0000"
    }
}

/// Splits a text after the characters at its front that are such.
fn split_while(text: &str, is_such: impl Fn(char) -> bool) -> (&str, &str) {
    let rest = text.trim_start_matches(is_such);
    text.split_at(text.len() - rest.len())
}

/// Whether a number that stands before this text ends there. `4111111111111111.0` does, `4.5` does not
/// end after the 4.
fn ends(after: &str) -> bool {
    let fraction = after.strip_prefix('.').map(|it| it.trim_start_matches('0'));
    match (fraction, after.as_bytes()) {
        (Some(fraction), _) => !fraction.starts_with(|c: char| c.is_ascii_digit()),
        (None, [next, ..]) => !next.is_ascii_alphanumeric(),
        (None, []) => true,
    }
}

/// What may stand between groups of digits: spaces, visible or not, dashes, dots and underscores. Line
/// breaks and tabs separate numbers of their own.
fn is_gap(c: char) -> bool {
    is_dash(c)
        || c.is_whitespace() && !c.is_control()
        || matches!(c, '.' | '·' | '_' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// The hyphen, its typographic relatives and the minus sign.
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The card schemes: first digits, from and to, and the lengths of their numbers (ISO/IEC 7812; the
/// schemes' own lists of ranges).
const SCHEMES: &[(&str, &str, std::ops::RangeInclusive<usize>)] = &[
    // Visa
    ("4", "4", 13..=13),
    ("4", "4", 16..=16),
    ("4", "4", 19..=19),
    // Mastercard
    ("51", "55", 16..=16),
    ("2221", "2720", 16..=16),
    // American Express
    ("34", "34", 15..=15),
    ("37", "37", 15..=15),
    // Discover
    ("6011", "6011", 16..=19),
    ("644", "649", 16..=19),
    ("65", "65", 16..=19),
    // Diners Club
    ("300", "305", 14..=14),
    ("3095", "3095", 14..=14),
    ("36", "36", 14..=14),
    ("38", "39", 14..=14),
    // JCB
    ("3528", "3589", 16..=19),
    // UnionPay
    ("62", "62", 16..=19),
    // Maestro, which is given out with 12 digits and more
    ("5018", "5018", 12..=19),
    ("5020", "5020", 12..=19),
    ("5038", "5038", 12..=19),
    ("5893", "5893", 12..=19),
    ("6304", "6304", 12..=19),
    ("6759", "6759", 12..=19),
    ("6761", "6763", 12..=19),
    // Mir
    ("2200", "2204", 16..=19),
    // Dankort
    ("5019", "5019", 16..=16),
    // Troy
    ("9792", "9792", 16..=16),
    // Verve
    ("506099", "506198", 16..=19),
];

fn is_card_number(digits: &[u8]) -> bool {
    SCHEMES.iter().any(|(from, to, lengths)| {
        lengths.contains(&digits.len())
            && (from.as_bytes()..=to.as_bytes()).contains(&&digits[..from.len()])
    }) && luhn(digits)
        && !is_article(digits)
        && !is_phone(digits)
}

/// The check digit of cards (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let twice = |digit: u32| digit * 2 / 10 + digit * 2 % 10;
    is_checked(digits, twice)
}

/// An article number of 12 or 13 digits (UPC, EAN). Those that begin with 4 are common, and Visa gives
/// out no cards of 13 digits any more, so a number that can be both is an article.
fn is_article(digits: &[u8]) -> bool {
    matches!(digits.len(), 12 | 13) && is_checked(digits, |digit| digit * 3)
}

/// Whether the sum of all digits, with every other one from the right weighted, is a multiple of ten.
fn is_checked(digits: &[u8], weighted: impl Fn(u32) -> u32) -> bool {
    let digits = digits.iter().rev().map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(n, digit)| if n % 2 == 0 { digit } else { weighted(digit) })
        .sum();
    sum.is_multiple_of(10)
}

/// In Germany, Austria and Sweden a phone number with the country's code (49, 43, 46) can have 13
/// digits. A number that can be both is a phone number, for the reason given at [`is_article`].
fn is_phone(digits: &[u8]) -> bool {
    digits.len() == 13 && matches!(digits, [b'4', b'3' | b'6' | b'9', ..])
}
