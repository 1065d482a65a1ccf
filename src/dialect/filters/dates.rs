//! The `date` filter.

use liquid_core::model::DateTime;
use liquid_core::{Error, Result, Value, ValueView};
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::super::values::{self, Kind, kind};
use super::{Call, text};

pub(super) fn date(call: &Call<'_>) -> Result<Value> {
    let format = values::text(call.argument(0));
    if format.is_empty() {
        return Ok(call.input.to_value());
    }
    let Some(moment) = moment(call.input) else {
        return Ok(call.input.to_value());
    };
    let shown = moment.format(&format);
    text(shown.map_err(|_| Error::with_msg("the format of the date has an unknown directive"))?)
}

fn moment(value: &dyn ValueView) -> Option<DateTime> {
    let moment = match kind(value) {
        Kind::Int(seconds) => OffsetDateTime::from_unix_timestamp(seconds).ok()?,
        Kind::Date(date) => match (date.to_date_time(), date.to_date()) {
            (Some(moment), _) => return Some(moment),
            (None, date) => date?.midnight().assume_utc(),
        },
        Kind::String(text) => return parse(text.trim()),
        _ => return None,
    };
    Some(engine(moment))
}

fn engine(moment: OffsetDateTime) -> DateTime {
    let mut engine = DateTime::default();
    *engine = moment;
    engine
}

/// The forms that templates write, a part of what Ruby's `Time.parse` takes; without an offset in
/// UTC.
fn parse(text: &str) -> Option<DateTime> {
    if ["now", "today"].contains(&text.to_ascii_lowercase().as_str()) {
        return Some(DateTime::now());
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = text.parse().ok()?;
        return OffsetDateTime::from_unix_timestamp(seconds)
            .ok()
            .map(engine);
    }
    if let Some(moment) = DateTime::from_str(text) {
        return Some(moment);
    }
    if let Ok(moment) =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, &Rfc2822))
    {
        return Some(engine(moment));
    }
    let moments = [
        format_description!(
            "[year]-[month padding:none]-[day padding:none][optional [T]][optional [ ]][hour padding:none]:[minute]:[second][optional [Z]]"
        ),
        format_description!(
            "[year]-[month padding:none]-[day padding:none] [hour padding:none]:[minute]"
        ),
        format_description!(
            "[year]-[month padding:none]-[day padding:none]T[hour padding:none]:[minute][optional [Z]]"
        ),
        format_description!(
            "[month repr:long case_sensitive:false] [day padding:none], [year] [hour padding:none]:[minute][optional [:[second]]]"
        ),
        format_description!(
            "[month repr:short case_sensitive:false] [day padding:none], [year] [hour padding:none]:[minute][optional [:[second]]]"
        ),
    ];
    for format in moments {
        if let Ok(moment) = PrimitiveDateTime::parse(text, &format) {
            return Some(engine(moment.assume_utc()));
        }
    }
    let days = [
        format_description!("[year]-[month padding:none]-[day padding:none]"),
        format_description!("[year]/[month padding:none]/[day padding:none]"),
        format_description!(
            "[month repr:long case_sensitive:false] [day padding:none][optional [,]] [year]"
        ),
        format_description!(
            "[month repr:short case_sensitive:false] [day padding:none][optional [,]] [year]"
        ),
        format_description!("[day padding:none] [month repr:long case_sensitive:false] [year]"),
        format_description!("[day padding:none] [month repr:short case_sensitive:false] [year]"),
    ];
    for format in days {
        if let Ok(date) = time::Date::parse(text, &format) {
            return Some(engine(date.midnight().assume_utc()));
        }
    }
    None
}
