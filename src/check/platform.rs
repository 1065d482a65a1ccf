//! The tags and filters that platformOS brings and the dialect does not: they parse.

use std::fmt;

use liquid_core::parser::{FilterArguments, ParameterReflection};
use liquid_core::{Filter, FilterReflection, ParseFilter, Result, Runtime, Value, ValueView};

use crate::dialect::{DialectExt as _, Foreign, Shape, with_foreign};
use crate::template::ParserBuilderExt as _;

const TAGS: Foreign = &[
    ("background", Shape::Either),
    ("cache", Shape::Block),
    ("catch", Shape::Tag),
    ("content_for", Shape::Block),
    ("context", Shape::Tag),
    ("execute_query", Shape::Tag),
    ("fields_for", Shape::Block),
    ("form", Shape::Block),
    ("form_for", Shape::Block),
    ("graphql", Shape::Either),
    ("include_form", Shape::Tag),
    ("input", Shape::Tag),
    ("input_field", Shape::Tag),
    ("label", Shape::Tag),
    ("languages", Shape::Tag),
    ("query_graph", Shape::Either),
    ("redirect_to", Shape::Tag),
    ("render_form", Shape::Tag),
    ("response_headers", Shape::Tag),
    ("response_status", Shape::Tag),
    ("rollback", Shape::Tag),
    ("select", Shape::Tag),
    ("sign_in", Shape::Tag),
    ("sign_out", Shape::Tag),
    ("spam_protection", Shape::Tag),
    ("submit", Shape::Tag),
    ("theme_render_rc", Shape::Tag),
    ("token", Shape::Tag),
    ("transaction", Shape::Block),
    ("try", Shape::Block),
    ("try_rc", Shape::Block),
    ("yield", Shape::Tag),
];

const FILTERS: &[&str] = &[
    "advanced_format",
    "amount_to_fractional",
    "any",
    "array_any",
    "array_detect",
    "array_find_index",
    "array_group_by",
    "array_in_groups_of",
    "array_map",
    "array_reject",
    "array_rotate",
    "array_select",
    "array_shuffle",
    "array_sort_by",
    "array_sum",
    "asset_path",
    "asset_url",
    "benchmark",
    "cgi_escape",
    "compute_hmac",
    "date_add",
    "decrypt",
    "deep_clone",
    "detect",
    "digest",
    "download_file",
    "encoding",
    "encrypt",
    "end_with",
    "expand_url_template",
    "extract_url_params",
    "fetch",
    "flatten",
    "force_encoding",
    "format_number",
    "fractional_to_amount",
    "graphql_query",
    "group_by",
    "gzip_compress",
    "gzip_decompress",
    "hash_assign",
    "hash_diff",
    "hash_keys",
    "hash_sort",
    "hcaptcha",
    "html_safe",
    "html_to_text",
    "humanize",
    "in_groups_of",
    "intersection",
    "is_date_before",
    "is_date_in_past",
    "is_email_valid",
    "is_gps_valid",
    "is_json_valid",
    "is_parsable_date",
    "is_token_valid",
    "json",
    "jwe_encode",
    "jwe_encode_rc",
    "jwt_decode",
    "jwt_encode",
    "l",
    "limit",
    "localize",
    "map_attributes",
    "markdown",
    "markdownify",
    "matches",
    "md5",
    "new_line_to_br",
    "parameterize",
    "parse_csv",
    "parse_csv_rc",
    "parse_json",
    "parse_xml",
    "pluralize",
    "pricify",
    "pricify_cents",
    "querify",
    "random_string",
    "raw_escape_string",
    "recaptcha",
    "regex_matches",
    "replace_regex",
    "rotate",
    "sanitize",
    "scan",
    "select",
    "sha1",
    "shuffle_array",
    "slugify",
    "sort_by",
    "start_with",
    "strftime",
    "sum_array",
    "t",
    "t_escape",
    "time_diff",
    "titleize",
    "to_csv",
    "to_date",
    "to_hash",
    "to_json",
    "to_mobile_number",
    "to_phone_number",
    "to_positive_integer",
    "to_time",
    "to_xml",
    "to_xml_rc",
    "translate",
    "translate_escape",
    "type_of",
    "unescape_javascript",
    "useragent",
    "uuid",
    "video_params",
    "www_form_encode_rc",
    "xml_to_hash",
    "escape_javascript",
    "filter_table",
    "pluck",
];

/// A parser that knows the dialect, the session, and the names above.
pub(super) fn parser() -> Result<liquid::Parser> {
    let builder = FILTERS
        .iter()
        .fold(liquid::ParserBuilder::with_stdlib(), |builder, name| {
            builder.filter(Named(name))
        });
    with_foreign(builder.dialect().sessions(), TAGS).build()
}

/// A filter that takes any arguments. It is parsed and never run.
#[derive(Clone, Copy, Debug)]
struct Named(&'static str);

impl FilterReflection for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn description(&self) -> &str {
        "a filter of platformOS"
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for Named {
    fn parse(&self, _: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        Ok(Box::new(*self))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Filter for Named {
    fn evaluate(&self, input: &dyn ValueView, _: &dyn Runtime) -> Result<Value> {
        Ok(input.to_value())
    }
}

/// Variables that platformOS sets.
pub(super) const VARIABLES: &[&str] = &[
    "context",
    "params",
    "current_user",
    "forloop",
    "tablerowloop",
    "content_for_layout",
    "form",
    "form_builder",
    "form_object",
    "response",
    "data",
    "object",
    "page",
    "layout",
];

/// Filters whose results can't contain markup from their input.
pub(super) const SAFE_FILTERS: &[&str] = &[
    "abs",
    "at_least",
    "at_most",
    "base64_encode",
    "base64_url_safe_encode",
    "ceil",
    "cgi_escape",
    "date",
    "digest",
    "divided_by",
    "escape",
    "escape_once",
    "floor",
    "format_number",
    "h",
    "html_safe",
    "is_email_valid",
    "json",
    "l",
    "localize",
    "markdown",
    "markdownify",
    "md5",
    "minus",
    "modulo",
    "parameterize",
    "plus",
    "pricify",
    "pricify_cents",
    "querify",
    "raw_escape_string",
    "round",
    "sanitize",
    "sha1",
    "size",
    "slugify",
    "strftime",
    "strip_html",
    "times",
    "to_json",
    "to_positive_integer",
    "type_of",
    "url_encode",
    "uuid",
];
