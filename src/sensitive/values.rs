//! What a text or a number is, by its form.

use super::Kind;

/// Whatever is shorter is none of what is looked for: `AAA-GG-SSSS` is the shortest.
const SHORTEST: usize = 11;

/// The first sensitive datum in a text.
pub(super) fn in_text(text: &str) -> Option<Kind> {
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST {
        return None;
    }
    // One pass that branches nowhere. Whatever is looked for has digits, but for a private key, whose
    // first line has ten hyphens: most texts are none of it, and are told by this.
    let (mut digits, mut hyphens) = (0_usize, 0_usize);
    for byte in bytes {
        digits += usize::from(byte.is_ascii_digit());
        hyphens += usize::from(*byte == b'-');
    }
    if digits == 0 && hyphens < 10 {
        return None;
    }
    in_letters(bytes).or_else(|| {
        // The shortest card has 13 digits; a social security number has nine, and two hyphens.
        let enough = digits >= 13 || digits >= 9 && hyphens >= 2;
        enough.then(|| in_digits(bytes)).flatten()
    })
}

/// Whether a whole number is a card's.
pub(super) fn is_card(number: i64) -> bool {
    // The shortest has 13 digits, the longest as many as fit.
    if number < 1_000_000_000_000 {
        return false;
    }
    let mut digits = [b'0'; LONGEST];
    let mut start = LONGEST;
    let mut rest = number.unsigned_abs();
    while rest > 0 {
        start -= 1;
        digits[start] += (rest % 10) as u8;
        rest /= 10;
    }
    is_card_number(&digits[start..])
}

/// What may stand in an API key after its prefix.
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

/// The forms of API keys as their issuers document them: prefix, what follows, how much of it at
/// least and at most.
const API_KEYS: &[(&[u8], Alphabet, usize, usize)] = &[
    // AWS, long-lived and temporary.
    (b"AKIA", Alphabet::Capitals, 16, 16),
    (b"ASIA", Alphabet::Capitals, 16, 16),
    // Google.
    (b"AIza", Alphabet::Url, 35, 35),
    // GitHub.
    (b"ghp_", Alphabet::Letters, 36, 255),
    (b"gho_", Alphabet::Letters, 36, 255),
    (b"ghu_", Alphabet::Letters, 36, 255),
    (b"ghs_", Alphabet::Letters, 36, 255),
    (b"ghr_", Alphabet::Letters, 36, 255),
    (b"github_pat_", Alphabet::Url, 36, 255),
    // GitLab.
    (b"glpat-", Alphabet::Url, 20, 255),
    // Stripe; its test keys pass.
    (b"sk_live_", Alphabet::Letters, 16, 255),
    (b"rk_live_", Alphabet::Letters, 16, 255),
    // Slack.
    (b"xoxa-", Alphabet::Url, 10, 255),
    (b"xoxb-", Alphabet::Url, 10, 255),
    (b"xoxe-", Alphabet::Url, 10, 255),
    (b"xoxo-", Alphabet::Url, 10, 255),
    (b"xoxp-", Alphabet::Url, 10, 255),
    (b"xoxr-", Alphabet::Url, 10, 255),
    (b"xoxs-", Alphabet::Url, 10, 255),
    // SendGrid: two parts, of which the first tells.
    (b"SG.", Alphabet::Url, 22, 22),
    // npm.
    (b"npm_", Alphabet::Letters, 36, 36),
    // OpenAI and Anthropic.
    (b"sk-proj-", Alphabet::Url, 32, 255),
    (b"sk-ant-", Alphabet::Url, 32, 255),
];

/// Private key blocks and API keys.
fn in_letters(bytes: &[u8]) -> Option<Kind> {
    let mut before = b' ';
    for (at, &byte) in bytes.iter().enumerate() {
        let starts_word = !before.is_ascii_alphanumeric();
        before = byte;
        match byte {
            b'-' if is_private_key(&bytes[at..]) => return Some(Kind::PrivateKey),
            _ if starts_word && may_be_api_key(&bytes[at..]) && is_api_key(&bytes[at..]) => {
                return Some(Kind::ApiKey);
            }
            _ => {}
        }
    }
    None
}

/// Whether one of the prefixes begins with these two letters: words do so seldom.
fn may_be_api_key(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [b'A', b'K' | b'S' | b'I', ..]
            | [b'S', b'G', ..]
            | [b'g', b'h' | b'i' | b'l', ..]
            | [b'n', b'p', ..]
            | [b'r' | b's', b'k', ..]
            | [b'x', b'o', ..]
    )
}

fn is_api_key(bytes: &[u8]) -> bool {
    API_KEYS.iter().any(|&(prefix, alphabet, least, most)| {
        bytes.strip_prefix(prefix).is_some_and(|rest| {
            // One more than there may be is enough to tell.
            let run = rest
                .iter()
                .take(most + 1)
                .take_while(|&&byte| alphabet.has(byte))
                .count();
            (least..=most).contains(&run)
                // `xoxo-hugs-and-kisses` has no digit, a key always has.
                && rest[..run].iter().any(u8::is_ascii_digit)
        })
    })
}

/// `-----BEGIN RSA PRIVATE KEY-----`, `-----BEGIN PGP PRIVATE KEY BLOCK-----` and so on.
fn is_private_key(bytes: &[u8]) -> bool {
    const PRIVATE: &[u8] = b"PRIVATE KEY";
    let Some(label) = bytes.strip_prefix(b"-----BEGIN ") else {
        return false;
    };
    let label = &label[..label.len().min(64)];
    let end = label.iter().position(|&byte| byte == b'-');
    end.is_some_and(|end| {
        label[end..].starts_with(b"-----")
            && label[..end]
                .windows(PRIVATE.len())
                .any(|part| part == PRIVATE)
    })
}

/// Card numbers and social security numbers.
fn in_digits(bytes: &[u8]) -> Option<Kind> {
    let mut before = b' ';
    for (at, &byte) in bytes.iter().enumerate() {
        let starts = byte.is_ascii_digit() && !before.is_ascii_alphanumeric();
        before = byte;
        if !starts {
            continue;
        }
        let found = if is_social_security_number(&bytes[..at], &bytes[at..]) {
            Kind::SocialSecurityNumber
        } else if starts_with_card(&bytes[at..]) {
            Kind::PaymentCard
        } else {
            continue;
        };
        if may_start(&bytes[..at]) {
            return Some(found);
        }
    }
    None
}

/// Whether digits after this text may begin a number of their own: not the decimals of another one,
/// a phone number or the rest of an IBAN.
fn may_start(before: &[u8]) -> bool {
    match before {
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
        if a.is_ascii_uppercase()
            && b.is_ascii_uppercase()
            && c.is_ascii_digit()
            && d.is_ascii_digit()
        {
            return true;
        }
        if ![a, b, c, d].iter().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        text = head;
    }
    false
}

/// Whether a number that ends before this text ends there.
fn ends(after: &[u8]) -> bool {
    match after {
        [] => true,
        [b'.', next, ..] => !next.is_ascii_digit(),
        [next, ..] => !next.is_ascii_alphanumeric(),
    }
}

/// `AAA-GG-SSSS` in the ranges that are given out: no 000, 666 or 9xx, no 00, no 0000 (SSA, RM
/// 10201.035).
fn is_social_security_number(before: &[u8], bytes: &[u8]) -> bool {
    let Some((number, after)) = bytes.split_first_chunk::<11>() else {
        return false;
    };
    let [a, b, c, b'-', d, e, b'-', f, g, h, i] = number else {
        return false;
    };
    let digits = [a, b, c, d, e, f, g, h, i];
    let (area, group, serial) = ([*a, *b, *c], [*d, *e], [*f, *g, *h, *i]);
    digits.iter().all(|digit| digit.is_ascii_digit())
        && !before.ends_with(b"-")
        && !after.starts_with(b"-")
        && ends(after)
        && area != *b"000"
        && area != *b"666"
        && area[0] != b'9'
        && group != *b"00"
        && serial != *b"0000"
}

/// The groups in which digits stand on cards, and are typed.
const GROUPS: &[&[usize]] = &[
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 4, 3],
    &[6, 13],
    &[4, 3, 3, 3],
];

/// The longest card number.
const LONGEST: usize = 19;

fn starts_with_card(bytes: &[u8]) -> bool {
    let run = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if run > 6 {
        return run <= LONGEST
            && bytes
                .split_at_checked(run)
                .is_some_and(|(digits, after)| ends(after) && is_card_number(digits));
    }
    // Nothing else is a first group, and no scheme begins with another digit.
    matches!(
        (bytes.first(), run, bytes.get(run)),
        (Some(b'2'..=b'6'), 4 | 6, Some(b' ' | b'-'))
    ) && GROUPS.iter().any(|groups| {
        grouped(bytes, groups).is_some_and(|(digits, len)| is_card_number(&digits[..len]))
    })
}

/// The digits of a number in these groups, between which the same separator stands.
fn grouped(bytes: &[u8], groups: &[usize]) -> Option<([u8; LONGEST], usize)> {
    let mut digits = [0; LONGEST];
    let mut len = 0;
    let mut rest = bytes;
    let mut separator = None;
    for (n, &group) in groups.iter().enumerate() {
        if n > 0 {
            let (&between, after) = rest.split_first()?;
            if !matches!(between, b' ' | b'-') || *separator.get_or_insert(between) != between {
                return None;
            }
            rest = after;
        }
        let (part, after) = rest.split_at_checked(group)?;
        if !part.iter().all(u8::is_ascii_digit) {
            return None;
        }
        digits.get_mut(len..len + group)?.copy_from_slice(part);
        len += group;
        rest = after;
    }
    ends(rest).then_some((digits, len))
}

/// The prefixes of the card schemes, as ranges of their first digits, with their lengths.
const SCHEMES: &[(u32, u32, usize, &[usize])] = &[
    // Visa
    (4, 4, 1, &[13, 16, 19]),
    // Mastercard
    (51, 55, 2, &[16]),
    (2221, 2720, 4, &[16]),
    // American Express
    (34, 34, 2, &[15]),
    (37, 37, 2, &[15]),
    // Discover
    (6011, 6011, 4, &[16, 17, 18, 19]),
    (644, 649, 3, &[16, 17, 18, 19]),
    (65, 65, 2, &[16, 17, 18, 19]),
    // Diners Club
    (300, 305, 3, &[14]),
    (3095, 3095, 4, &[14]),
    (36, 36, 2, &[14]),
    (38, 39, 2, &[14]),
    // JCB
    (3528, 3589, 4, &[16, 17, 18, 19]),
    // UnionPay
    (62, 62, 2, &[16, 17, 18, 19]),
];

fn is_card_number(digits: &[u8]) -> bool {
    let known = SCHEMES.iter().any(|(from, to, len, lengths)| {
        lengths.contains(&digits.len()) && (from..=to).contains(&&number(&digits[..*len]))
    });
    known && luhn(digits) && !is_ean(digits) && !is_phone(digits)
}

fn number(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

/// The check digit of cards (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(n, digit)| {
            let digit = u32::from(digit - b'0');
            match n % 2 {
                0 => digit,
                _ => digit * 2 / 10 + digit * 2 % 10,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Articles whose number begins with 4 are common, Visa cards of 13 digits are not given out any
/// more: what can be both is an article.
fn is_ean(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .zip([1, 3].into_iter().cycle())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    digits.len() == 13 && sum.is_multiple_of(10)
}

/// In Germany, Austria and Sweden a phone number with the country's code (49, 43, 46) can have 13
/// digits. What can be both is that, for the same reason.
fn is_phone(digits: &[u8]) -> bool {
    digits.len() == 13 && matches!(digits, [b'4', b'3' | b'6' | b'9', ..])
}
