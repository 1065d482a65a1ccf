//! The filters that go with sessions, by platformOS's names.
//!
//! | filter | gives |
//! |---|---|
//! | `json`, `to_json` | any value as JSON text, the names of objects sorted; nil is `null` |
//! | `parse_json`, `to_hash` | the value that a JSON text describes, with its types; nil for anything else |
//! | `hash_keys` | the names of an object, sorted, as an array |
//! | `uuid` | a random UUID |
//!
//! [`ParserBuilderExt::sessions`](crate::ParserBuilderExt::sessions) registers them all.
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

/// `json`: any value as JSON text, the names of objects sorted; nil is `null`.
///
/// ```
/// use liquid_session::template::filters::Json;
///
/// let parser = liquid::ParserBuilder::new().filter(Json).build()?;
/// let page = parser.parse("{{ 'a \"b\"' | json }}")?;
/// assert_eq!(page.render(&liquid::Object::new())?, r#""a \"b\"""#);
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(
    name = "json",
    description = "Any value as JSON text.",
    parsed(JsonFilter)
)]
pub struct Json;

/// `to_json`: the same as [`Json`].
///
/// ```
/// use liquid_session::template::filters::ToJson;
///
/// let parser = liquid::ParserBuilder::new().filter(ToJson).build()?;
/// let page = parser.parse("{{ nil | to_json }}")?;
/// assert_eq!(page.render(&liquid::Object::new())?, "null");
/// # Ok::<(), liquid::Error>(())
/// ```
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
        Ok(LiquidValue::scalar(text))
    }
}

/// `parse_json`: the value that a JSON text describes, with its types; nil for anything else.
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
    description = "The value that a JSON text describes, or nil.",
    parsed(ParseJsonFilter)
)]
pub struct ParseJson;

/// `to_hash`: the same as [`ParseJson`].
///
/// ```
/// use liquid_session::template::filters::ToHash;
///
/// let parser = liquid::ParserBuilder::new().filter(ToHash).build()?;
/// let page = parser.parse("[{{ 'no json' | to_hash }}]")?;
/// assert_eq!(page.render(&liquid::Object::new())?, "[]");
/// # Ok::<(), liquid::Error>(())
/// ```
#[derive(Clone, ParseFilter, FilterReflection)]
#[filter(
    name = "to_hash",
    description = "The value that a JSON text describes, or nil.",
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

/// `hash_keys`: the names of an object, sorted, as an array; empty for anything else.
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

/// `uuid`: a random UUID (version 4), whatever it is applied to.
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
