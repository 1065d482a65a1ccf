//! Base64.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use liquid_core::{Error, Result, Value};

use super::super::values;
use super::{Call, text};

pub(super) fn encode(call: &Call<'_>) -> Result<Value> {
    encode_with(call, &STANDARD)
}

pub(super) fn url_safe_encode(call: &Call<'_>) -> Result<Value> {
    encode_with(call, &URL_SAFE)
}

pub(super) fn decode(call: &Call<'_>) -> Result<Value> {
    decode_with(&values::text(call.input), &STANDARD)
}

pub(super) fn url_safe_decode(call: &Call<'_>) -> Result<Value> {
    let input = values::text(call.input);
    // Ruby needs no padding here.
    let engine = if input.ends_with('=') {
        &URL_SAFE
    } else {
        &URL_SAFE_NO_PAD
    };
    decode_with(&input, engine)
}

fn encode_with(call: &Call<'_>, engine: &GeneralPurpose) -> Result<Value> {
    let input = values::text(call.input);
    let mut encoded = vec![0; input.len().div_ceil(3) * 4];
    let length = engine.encode_slice(input.as_bytes(), &mut encoded);
    encoded.truncate(length.map_err(|_| Error::with_msg("the string is too long"))?);
    text(String::from_utf8_lossy(&encoded))
}

fn decode_with(input: &str, engine: &GeneralPurpose) -> Result<Value> {
    let mut decoded = vec![0; input.len() / 4 * 3 + 3];
    let length = engine.decode_slice(input.as_bytes(), &mut decoded);
    decoded.truncate(length.map_err(|_| Error::with_msg("the string is not Base64"))?);
    let decoded = String::from_utf8(decoded);
    text(decoded.map_err(|_| Error::with_msg("the decoded bytes are not UTF-8"))?)
}
