//! Literals in the markup of a tag.

/// Returns the first whole number outside quotes and names that does not fit `i64`. The engine's parser
/// panics on it, so a tag checks the text of a token before it asks for the value.
pub(crate) fn integer_beyond_i64(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'\'' | b'"' => {
                while bytes.get(at).is_some_and(|&b| b != byte) {
                    at += 1;
                }
                at += 1;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                while bytes
                    .get(at)
                    .is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
                {
                    at += 1;
                }
            }
            b'0'..=b'9' | b'+' | b'-' => {
                while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                    at += 1;
                }
                let fraction = bytes.get(at) == Some(&b'.')
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                let number = text.get(start..at)?;
                if fraction {
                    at += 1;
                    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                        at += 1;
                    }
                } else if number.ends_with(|c: char| c.is_ascii_digit())
                    && number.parse::<i64>().is_err()
                {
                    return Some(number);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::integer_beyond_i64;

    #[test]
    fn only_whole_numbers_outside_quotes_and_names_count() {
        let big = "9223372036854775808";
        for (text, expected) in [
            (big.to_owned(), Some(big)),
            (format!("a[{big}]"), Some(big)),
            (format!("a | plus: {big}"), Some(big)),
            (format!("-{big}"), None),
            (format!("-1{big}"), Some("-19223372036854775808")),
            (format!("'{big}'"), None),
            (format!("a{big}"), None),
            (format!("a-{big}"), None),
            (format!("{big}.5"), None),
            ("9223372036854775807".to_owned(), None),
            ("+5 - '".to_owned(), None),
        ] {
            assert_eq!(integer_beyond_i64(&text), expected, "{text}");
        }
    }
}
