//! The filters of Liquid 5.13, with Ruby's rules for nil and other types, and platformOS's filters on
//! arrays and objects.

mod arrays;
mod base64;
mod dates;
mod numbers;
mod objects;
mod strings;

use std::fmt;

use liquid_core::parser::{FilterArguments, ParameterReflection};
use liquid_core::{
    Error, Expression, Filter, FilterReflection, ParseFilter, Result, Runtime, Value, ValueCow,
    ValueView,
};

use smallvec::SmallVec;

use super::values;

/// The definition of a filter.
#[derive(Clone, Copy)]
pub(super) struct Standard {
    name: &'static str,
    description: &'static str,
    /// The least and the greatest number of positional arguments.
    arguments: (usize, usize),
    keywords: &'static [&'static str],
    apply: fn(&Call<'_>) -> Result<Value>,
}

/// One application of a filter.
pub(super) struct Call<'c> {
    input: &'c dyn ValueView,
    arguments: SmallVec<[ValueCow<'c>; 2]>,
    keywords: Vec<(&'c str, ValueCow<'c>)>,
}

static NIL: Value = Value::Nil;

impl Call<'_> {
    /// Returns the positional argument, or nil if it is missing.
    fn argument(&self, at: usize) -> &dyn ValueView {
        self.arguments.get(at).map_or(&NIL, ValueCow::as_view)
    }

    /// Returns the positional argument, unless it is missing or nil.
    fn given(&self, at: usize) -> Option<&dyn ValueView> {
        let argument = self.arguments.get(at)?.as_view();
        (!argument.is_nil()).then_some(argument)
    }

    fn keyword(&self, name: &str) -> Option<&dyn ValueView> {
        let keyword = self.keywords.iter().rev().find(|(own, _)| *own == name)?;
        Some(keyword.1.as_view())
    }
}

macro_rules! filters {
    ($($name:literal ($min:literal to $max:literal $(, $keyword:literal)*) $apply:path, $description:literal;)+) => {
        pub(super) static ALL: &[Standard] = &[$(Standard {
            name: $name,
            description: $description,
            arguments: ($min, $max),
            keywords: &[$($keyword),*],
            apply: $apply,
        }),+];
    };
}

filters! {
    "abs" (0 to 0) numbers::abs, "the absolute value of a number";
    "at_least" (1 to 1) numbers::at_least, "a number, or the argument if that is greater";
    "at_most" (1 to 1) numbers::at_most, "a number, or the argument if that is less";
    "ceil" (0 to 0) numbers::ceil, "a number rounded up";
    "divided_by" (1 to 1) numbers::divided_by, "a number divided by another";
    "floor" (0 to 0) numbers::floor, "a number rounded down";
    "minus" (1 to 1) numbers::minus, "a number less another";
    "modulo" (1 to 1) numbers::modulo, "the rest of a division";
    "plus" (1 to 1) numbers::plus, "a number and another";
    "round" (0 to 1) numbers::round, "a number rounded, to a number of digits";
    "times" (1 to 1) numbers::times, "a number times another";

    "append" (1 to 1) strings::append, "a string with another at its end";
    "base64_decode" (0 to 0) base64::decode, "the string behind Base64";
    "base64_encode" (0 to 0) base64::encode, "a string as Base64";
    "base64_url_safe_decode" (0 to 0) base64::url_safe_decode, "the string behind Base64 for URLs";
    "base64_url_safe_encode" (0 to 0) base64::url_safe_encode, "a string as Base64 for URLs";
    "capitalize" (0 to 0) strings::capitalize, "a string, its first letter large and all others small";
    "downcase" (0 to 0) strings::downcase, "a string in small letters";
    "escape" (0 to 0) strings::escape, "a string for HTML";
    "escape_once" (0 to 0) strings::escape_once, "a string for HTML that may be escaped already";
    "h" (0 to 0) strings::escape, "a string for HTML";
    "lstrip" (0 to 0) strings::lstrip, "a string without white space at its front";
    "newline_to_br" (0 to 0) strings::newline_to_br, "a string with <br /> at the ends of its lines";
    "prepend" (1 to 1) strings::prepend, "a string with another at its front";
    "remove" (1 to 1) strings::remove, "a string without another";
    "remove_first" (1 to 1) strings::remove_first, "a string without the first of another";
    "remove_last" (1 to 1) strings::remove_last, "a string without the last of another";
    "replace" (1 to 2) strings::replace, "a string with another replaced";
    "replace_first" (1 to 2) strings::replace_first, "a string with the first of another replaced";
    "replace_last" (2 to 2) strings::replace_last, "a string with the last of another replaced";
    "rstrip" (0 to 0) strings::rstrip, "a string without white space at its end";
    "slice" (1 to 2) strings::slice, "a part of a string or an array";
    "split" (1 to 1) strings::split, "the parts of a string between separators";
    "squish" (0 to 0) strings::squish, "a string with single spaces between its words";
    "strip" (0 to 0) strings::strip, "a string without white space at its ends";
    "strip_html" (0 to 0) strings::strip_html, "a string without HTML";
    "strip_newlines" (0 to 0) strings::strip_newlines, "a string on one line";
    "truncate" (0 to 2) strings::truncate, "a string cut to a number of characters";
    "truncatewords" (0 to 2) strings::truncatewords, "a string cut to a number of words";
    "upcase" (0 to 0) strings::upcase, "a string in large letters";
    "url_decode" (0 to 0) strings::url_decode, "the string behind percent signs";
    "url_encode" (0 to 0) strings::url_encode, "a string for a URL";

    "compact" (0 to 1) arrays::compact, "an array without nil";
    "concat" (1 to 1) arrays::concat, "an array and another";
    "default" (0 to 1, "allow_false") arrays::default, "a value, or the argument for nil, false or nothing";
    "find" (1 to 2) arrays::find, "the first item with a property";
    "find_index" (1 to 2) arrays::find_index, "where the first item with a property is";
    "first" (0 to 0) arrays::first, "the first item";
    "has" (1 to 2) arrays::has, "whether an item has a property";
    "join" (0 to 1) arrays::join, "the items as one string";
    "last" (0 to 0) arrays::last, "the last item";
    "map" (1 to 1) arrays::map, "a property of each item";
    "reject" (1 to 2) arrays::reject, "the items without a property";
    "reverse" (0 to 0) arrays::reverse, "the items from the end";
    "size" (0 to 0) arrays::size, "how many characters or items there are";
    "sort" (0 to 1) arrays::sort, "the items in order";
    "sort_natural" (0 to 1) arrays::sort_natural, "the items in order, without regard to case";
    "sum" (0 to 1) arrays::sum, "the sum of the items";
    "uniq" (0 to 1) arrays::uniq, "each item once";
    "where" (1 to 2) arrays::filter_where, "the items with a property";

    "date" (1 to 1) dates::date, "a moment in a format";

    "add_hash_key" (2 to 2) objects::add_key, "an object with one more member";
    "add_to_array" (1 to 1) objects::array_add, "an array with one more item";
    "array_add" (1 to 1) objects::array_add, "an array with one more item";
    "array_compact" (0 to 0) objects::array_compact, "an array without blank items";
    "array_delete" (1 to 1) objects::array_delete, "an array without an item";
    "array_delete_at" (1 to 1) objects::array_delete_at, "an array without the item at a place";
    "array_flatten" (0 to 0) objects::array_flatten, "the items of all arrays in an array";
    "array_include" (1 to 1) objects::array_include, "whether an item is in an array";
    "array_index_of" (1 to 1) objects::array_index_of, "where an item is in an array";
    "array_intersect" (1 to 1) objects::array_intersect, "the items that are in both arrays";
    "array_limit" (1 to 1) objects::array_limit, "the first items of an array";
    "array_prepend" (1 to 1) objects::array_prepend, "an array with an item at its front";
    "array_subtract" (1 to 1) objects::array_subtract, "an array without another's items";
    "assign_to_hash_key" (2 to 2) objects::add_key, "an object with one more member";
    "dig" (1 to 64) objects::dig, "what is below an object, by keys";
    "hash_add_key" (2 to 2) objects::add_key, "an object with one more member";
    "hash_delete_key" (1 to 1) objects::delete_key, "an object without a member";
    "hash_dig" (1 to 64) objects::dig, "what is below an object, by keys";
    "hash_fetch" (1 to 1) objects::dig, "a member of an object";
    "hash_merge" (0 to 1, "") objects::merge, "an object with another's members";
    "hash_values" (0 to 0) objects::values, "the values of an object, by the order of its names";
    "is_included_in_array" (1 to 1) objects::is_included, "whether the value is in an array";
    "prepend_to_array" (1 to 1) objects::array_prepend, "an array with an item at its front";
    "remove_hash_key" (1 to 1) objects::delete_key, "an object without a member";
    "subtract_array" (1 to 1) objects::array_subtract, "an array without another's items";
}

impl FilterReflection for Standard {
    fn name(&self) -> &str {
        self.name
    }

    fn description(&self) -> &str {
        self.description
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for Standard {
    fn parse(&self, arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        let positional: Vec<_> = arguments.positional.collect();
        let (least, most) = self.arguments;
        let found = positional.len();
        if !(least..=most).contains(&found) {
            let arguments = |number| match number {
                0 => "no argument".to_owned(),
                1 => "1 argument".to_owned(),
                _ => format!("{number} arguments"),
            };
            let expected = if least == most {
                arguments(least)
            } else if found < least {
                format!("at least {}", arguments(least))
            } else {
                format!("at most {}", arguments(most))
            };
            return Err(Error::with_msg(format!(
                "expected {expected}, found {found}"
            )));
        }
        let mut keyword = Vec::new();
        for (name, value) in arguments.keyword {
            // An empty name stands for any.
            if !self.keywords.contains(&name) && !self.keywords.contains(&"") {
                let problem = match self.keywords {
                    [] => format!("expected no named argument, found `{name}`"),
                    known => format!("expected `{}`, found `{name}`", known.join("`, `")),
                };
                return Err(Error::with_msg(problem));
            }
            keyword.push((name.to_owned(), value));
        }
        Ok(Box::new(Parsed {
            filter: *self,
            positional,
            keyword,
        }))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

struct Parsed {
    filter: Standard,
    positional: Vec<Expression>,
    keyword: Vec<(String, Expression)>,
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.filter.name)
    }
}

impl fmt::Display for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.filter.name)
    }
}

fn evaluate<'r>(expression: &'r Expression, runtime: &'r dyn Runtime) -> ValueCow<'r> {
    let value = expression.try_evaluate(runtime);
    value.map_or(ValueCow::Borrowed(&NIL), values::settle)
}

impl Filter for Parsed {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        let positional = self.positional.iter();
        let keyword = self.keyword.iter();
        (self.filter.apply)(&Call {
            input,
            arguments: positional.map(|value| evaluate(value, runtime)).collect(),
            keywords: keyword
                .map(|(name, value)| (name.as_str(), evaluate(value, runtime)))
                .collect(),
        })
    }
}

/// Returns a string as a value.
fn text(text: impl Into<String>) -> Result<Value> {
    Ok(Value::scalar(text.into()))
}
