//! The filters that are registered with sessions, named as on platformOS.
//!
//! | filter | returns |
//! |---|---|
//! | `json`, `to_json` | any value as JSON text, safe in `<script>`; the names of objects sorted, nil as `null` |
//! | `parse_json`, `to_hash` | the value of a JSON text, with its types; nil for any other input |
//! | `hash_keys` | the names of an object as a sorted array |
//! | `uuid` | a random UUID |
//!
//! [`ParserBuilderExt::sessions`](crate::ParserBuilderExt::sessions) registers all of them.
//!
//! ```
//! use liquid_session::template::filters::{HashKeys, Json};
//!
//! let parser = liquid::ParserBuilder::with_stdlib()
//!     .filter(Json)
//!     .filter(HashKeys)
//!     .build()?;
//! let page = parser.parse("{{ user | json }} has {{ user | hash_keys | join: ', ' }}")?;
//! let globals = liquid::object!({ "user": { "name": "Ann", "age": 41 } });
//! assert_eq!(page.render(&globals)?, r#"{"age":41,"name":"Ann"} has age, name"#);
//! # Ok::<(), liquid::Error>(())
//! ```

use liquid_core::model::{KString, Value as LiquidValue};
use liquid_core::{
    Display_filter, Filter, FilterReflection, ParseFilter, Result, Runtime, ValueView,
};

use crate::value::Value;

/// `json`: any value as JSON text; the names of objects are sorted, nil is `null`.
///
/// `<`, `>`, `&`, U+2028 and U+2029 are written as `\uXXXX`, in names too. To a JSON parser the text is
/// equal, and a value can't end the `<script>` in which it stands. In an attribute, write
/// `| json | escape`.
///
/// ```
/// use liquid_session::template::filters::Json;
///
/// let parser = liquid::ParserBuilder::new().filter(Json).build()?;
/// let page = parser.parse("<script>let name = {{ name | json }};</script>")?;
/// let globals = liquid::object!({ "name": "</script><script>alert(1)" });
/// assert_eq!(
///     page.render(&globals)?,
///     r#"<script>let name = "\u003c/script\u003e\u003cscript\u003ealert(1)";</script>"#,
/// );
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(
    name = "json",
    description = "Any value as JSON text.",
    parsed(JsonFilter)
)]
pub struct Json;

/// `to_json`: another name of [`Json`].
#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(
    name = "to_json",
    description = "Any value as JSON text.",
    parsed(JsonFilter)
)]
pub struct ToJson;

#[derive(Debug, Default, Display_filter)]
#[name = "json"]
struct JsonFilter;

impl Filter for JsonFilter {
    fn evaluate(&self, input: &dyn ValueView, _runtime: &dyn Runtime) -> Result<LiquidValue> {
        let text = serde_json::to_string(&Value::from_view(input))
            .map_err(|error| liquid_core::Error::with_msg(error.to_string()))?;
        Ok(LiquidValue::scalar(for_script(&text)))
    }
}

/// Escapes JSON text for `<script>`: the characters that have a meaning in HTML, and those that ended
/// lines in JavaScript before ES2019. In JSON they occur only in strings.
fn for_script(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

/// `parse_json`: the value of a JSON text, with its types; nil for any other input.
///
/// ```
/// use liquid_session::template::filters::ParseJson;
///
/// let parser = liquid::ParserBuilder::with_stdlib().filter(ParseJson).build()?;
/// let page = parser.parse(r#"{% assign cart = '{"n": 2}' | parse_json %}{{ cart.n | plus: 1 }}"#)?;
/// assert_eq!(page.render(&liquid::Object::new())?, "3");
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(
    name = "parse_json",
    description = "The value of a JSON text, or nil.",
    parsed(ParseJsonFilter)
)]
pub struct ParseJson;

/// `to_hash`: another name of [`ParseJson`].
#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(
    name = "to_hash",
    description = "The value of a JSON text, or nil.",
    parsed(ParseJsonFilter)
)]
pub struct ToHash;

#[derive(Debug, Default, Display_filter)]
#[name = "parse_json"]
struct ParseJsonFilter;

impl Filter for ParseJsonFilter {
    fn evaluate(&self, input: &dyn ValueView, _runtime: &dyn Runtime) -> Result<LiquidValue> {
        Ok(Value::from_view(input)
            .as_str()
            .and_then(|text| Value::from_json(text).ok())
            .unwrap_or_default()
            .to_value())
    }
}

/// `hash_keys`: the names of an object as a sorted array; empty for any other input.
///
/// ```
/// use liquid_session::template::filters::HashKeys;
///
/// let parser = liquid::ParserBuilder::with_stdlib().filter(HashKeys).build()?;
/// let page = parser.parse("{{ o | hash_keys | join: ' ' }}")?;
/// let globals = liquid::object!({ "o": { "b": 1, "a": 2 } });
/// assert_eq!(page.render(&globals)?, "a b");
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(
    name = "hash_keys",
    description = "The names of an object, sorted.",
    parsed(HashKeysFilter)
)]
pub struct HashKeys;

#[derive(Debug, Default, Display_filter)]
#[name = "hash_keys"]
struct HashKeysFilter;

impl Filter for HashKeysFilter {
    fn evaluate(&self, input: &dyn ValueView, _runtime: &dyn Runtime) -> Result<LiquidValue> {
        let names = match Value::from_view(input) {
            Value::Object(entries) => entries.into_keys().collect(),
            _ => Vec::new(),
        };
        Ok(LiquidValue::array(names.into_iter().map(|name| {
            LiquidValue::scalar(KString::from_string(name))
        })))
    }
}

/// `uuid`: a random UUID (version 4). The input is ignored.
///
/// ```
/// use liquid_session::template::filters::Uuid;
///
/// let parser = liquid::ParserBuilder::new().filter(Uuid).build()?;
/// let page = parser.parse("{{ '' | uuid }}")?;
/// assert_eq!(page.render(&liquid::Object::new())?.len(), 36);
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(name = "uuid", description = "A random UUID.", parsed(UuidFilter))]
pub struct Uuid;

#[derive(Debug, Default, Display_filter)]
#[name = "uuid"]
struct UuidFilter;

impl Filter for UuidFilter {
    fn evaluate(&self, _input: &dyn ValueView, _runtime: &dyn Runtime) -> Result<LiquidValue> {
        Ok(LiquidValue::scalar(uuid::Uuid::new_v4().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, globals: &liquid::Object) -> String {
        let parser = liquid::ParserBuilder::with_stdlib()
            .filter(Json)
            .filter(ToJson)
            .filter(ParseJson)
            .build()
            .unwrap();
        parser.parse(template).unwrap().render(globals).unwrap()
    }

    #[test]
    fn json_can_not_end_the_script_it_stands_in() {
        let evil = "</script><!--&amp;\u{2028}\u{2029}";
        let globals = liquid::object!({ "v": { evil: [evil, { evil: 1 }] }, "text": evil });
        for template in [
            "{{ v | json }}",
            "{{ v | to_json }}",
            "{{ text | json }}",
            "{{ text | json | json }}",
            "{% assign copy = v %}{{ copy | json }}",
        ] {
            let json = render(template, &globals);
            for c in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
                assert!(!json.contains(c), "{template}: {c:?} in {json}");
            }
        }
    }

    #[test]
    fn what_is_escaped_reads_back_as_it_was() {
        let evil = "</script>\\u003c&\u{2028}\"";
        let globals = liquid::object!({ "v": { evil: evil } });
        let json = render("{{ v | json }}", &globals);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read, serde_json::json!({ evil: evil }));
        let again = render("{{ v | json | parse_json | to_json }}", &globals);
        assert_eq!(again, json);
    }
}
