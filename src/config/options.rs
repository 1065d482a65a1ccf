//! The settings that are one of a few words.

/// Whether browsers send the cookie with requests that another site starts (RFC 6265bis, 5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Only when the visitor follows a link. One who comes back from a payment provider is still signed
    /// in.
    #[default]
    Lax,
    /// Never.
    Strict,
    /// Always. Needs secure cookies.
    None,
}

/// Whether requests over plain HTTP have sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// Only requests over HTTPS have sessions.
    #[default]
    Production,
    /// Requests over plain HTTP have sessions, too: for the machine of a developer.
    Development,
}

/// What happens when a template or the host stores data that do not belong in a session.
///
/// | kind | by the last words of a name | by the form of a value |
/// |---|---|---|
/// | password | `password`, `passwd`, `pwd`, `passphrase`, `passcode`; also before `confirmation`, `hash` and the like | |
/// | API key | `api_key`, `access_key`, `secret_key`, `client_secret` and the like | the forms of AWS, GitHub, GitLab, Stripe, Slack, Google, SendGrid, npm, OpenAI, Anthropic |
/// | token | `token`, `jwt` | |
/// | private key | `private_key` | `-----BEGIN … PRIVATE KEY-----` |
/// | US social security number | `ssn`, `social_security_number` | `AAA-GG-SSSS` in the ranges that are given out, with any dash |
/// | payment card | `card_number`, `credit_card`, `cvv`, `cvc` and the like | the prefix and length of a card scheme, and the check digit |
///
/// - Names are the keys of a session and the names in its objects, at any depth. `userPassword`,
///   `user-password` and `user_password` are one name.
/// - The names in an object continue its own: `password: {value: "…"}` is found as `password_value` is,
///   `credit_card: {number: "…"}` as `credit_card_number` is.
/// - A card number may be a string, a number, a fraction (`4111111111111111.0`) or negative; in one
///   piece, or in the groups of a card with spaces, dashes, dots or underscores between them; also
///   inside a text.
///
/// These pass:
///
/// - names that continue otherwise, such as `password_changed_at`, `token_count`, `card_number_last4`,
/// - names of states, such as `forgot_password`, and any name with a boolean or a date,
/// - tokens that give no access: `csrf_token`, `xsrf_token`, `authenticity_token`, `form_token`,
///   `submit_token`, `page_token`, `next_token`, `cursor_token`, `sync_token`, `idempotency_token`,
///   `cart_token`; and cards that pay nothing: `gift_card_number`, `library_card_number`,
/// - order numbers, phone numbers, timestamps, UUIDs, IBANs, and article numbers (UPC, EAN, ISBN).
///
/// Data whose form says nothing pass as well: a password under another name, digits that no card scheme
/// gives out, a social security number without hyphens.
///
/// # Example
///
/// ```
/// use liquid_session::config::SensitiveData;
/// use liquid_session::{ErrorKind, MemoryStore, SessionConfig, Sessions};
///
/// let config = SessionConfig::builder().sensitive_data(SensitiveData::Deny).build()?;
/// let session = Sessions::new(MemoryStore::new(), config).open(None);
/// let error = session.set("note", "my card: 4111 1111 1111 1111").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Sensitive);
/// session.set("order", "2026-000123-4567890")?;
/// # Ok::<(), liquid_session::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SensitiveData {
    /// They are stored.
    #[default]
    Allow,
    /// They are stored, and counted and reported: as an event with the feature `tracing`.
    Warn,
    /// They are refused with [`ErrorKind::Sensitive`](crate::ErrorKind::Sensitive), and counted; the
    /// value stored before stays. The error names the key, never the value.
    Deny,
}
