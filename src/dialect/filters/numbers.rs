//! Filters on numbers. Decimal fractions are computed exactly, as Ruby's `BigDecimal` does.

use std::cmp::Ordering;

use liquid_core::{Error, Result, Value, ValueView};

use super::super::values::{Kind, kind, leading_integer};
use super::Call;

/// A number as Liquid computes with it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Decimal(Decimal),
    /// Beyond what [`Decimal`] holds.
    Float(f64),
}

/// `digits / 10^scale`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    digits: i128,
    scale: u32,
}

/// More digits than an `f64` has; small enough that sums and products fit.
const MOST_DIGITS: usize = 18;

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.')?;
        if whole.len() + fraction.len() > MOST_DIGITS + 1 {
            return None;
        }
        Some(Self {
            digits: format!("{whole}{fraction}").parse().ok()?,
            scale: u32::try_from(fraction.len()).ok()?,
        })
    }

    fn to_f64(self) -> f64 {
        // By the text: the nearest number to these digits.
        let text = format!("{}e-{}", self.digits, self.scale);
        text.parse().unwrap_or_default()
    }

    /// Both with as many digits behind the point.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale.max(other.scale);
        let raise = |decimal: Self| {
            let power = 10_i128.checked_pow(scale - decimal.scale)?;
            decimal.digits.checked_mul(power)
        };
        Some((raise(self)?, raise(other)?, scale))
    }

    /// Rounded to so many digits behind the point, half away from zero.
    fn round(self, places: u32) -> Self {
        if places >= self.scale {
            return self;
        }
        let power = 10_i128.pow(self.scale - places);
        let half = power / 2 * self.digits.signum();
        Self {
            digits: (self.digits + half) / power,
            scale: places,
        }
    }

    fn floor(self) -> i128 {
        self.digits.div_euclid(10_i128.pow(self.scale))
    }
}

impl Number {
    /// Ruby Liquid's `to_number`: anything but a number counts as 0.
    pub(super) fn of(value: &dyn ValueView) -> Self {
        match kind(value) {
            Kind::Int(number) => Self::Int(number),
            Kind::Float(number) => Self::from_float(number),
            Kind::String(text) => {
                let text = text.trim();
                let digits = text.strip_prefix('-').unwrap_or(text);
                let is_decimal = digits.split_once('.').is_some_and(|(whole, fraction)| {
                    let is_digits =
                        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
                    is_digits(whole) && is_digits(fraction)
                });
                if is_decimal {
                    match Decimal::parse(text) {
                        Some(decimal) => Self::Decimal(decimal),
                        None => Self::Float(text.parse().unwrap_or_default()),
                    }
                } else {
                    Self::Int(leading_integer(text))
                }
            }
            _ => Self::Int(0),
        }
    }

    fn from_float(number: f64) -> Self {
        match Decimal::parse(&format!("{number:?}")) {
            Some(decimal) => Self::Decimal(decimal),
            None => Self::Float(number),
        }
    }

    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Decimal(decimal) => decimal.to_f64(),
            Self::Float(number) => number,
        }
    }

    fn decimal(self) -> Option<Decimal> {
        match self {
            Self::Int(number) => Some(Decimal {
                digits: number.into(),
                scale: 0,
            }),
            Self::Decimal(decimal) => Some(decimal),
            Self::Float(_) => None,
        }
    }

    pub(super) fn value(self) -> Value {
        match self {
            Self::Int(number) => Value::scalar(number),
            other => Value::scalar(other.to_f64()),
        }
    }

    fn compare(self, other: Self) -> Ordering {
        let exact = match (self.decimal(), other.decimal()) {
            (Some(left), Some(right)) => left.aligned(right),
            _ => None,
        };
        match exact {
            Some((left, right, _)) => left.cmp(&right),
            None => self.to_f64().total_cmp(&other.to_f64()),
        }
    }

    fn combine(
        self,
        other: Self,
        whole: fn(i64, i64) -> Option<i64>,
        exact: fn(i128, i128) -> Option<i128>,
        float: fn(f64, f64) -> f64,
    ) -> Result<Self> {
        if let (Self::Int(left), Self::Int(right)) = (self, other) {
            return whole(left, right).map(Self::Int).ok_or_else(overflow);
        }
        let aligned = match (self.decimal(), other.decimal()) {
            (Some(left), Some(right)) => left.aligned(right),
            _ => None,
        };
        let combined = aligned.and_then(|(left, right, scale)| {
            let digits = exact(left, right)?;
            Some(Self::Decimal(Decimal { digits, scale }))
        });
        Ok(combined.unwrap_or_else(|| Self::Float(float(self.to_f64(), other.to_f64()))))
    }

    pub(super) fn add(self, other: Self) -> Result<Self> {
        self.combine(other, i64::checked_add, i128::checked_add, |left, right| {
            left + right
        })
    }
}

fn overflow() -> Error {
    Error::with_msg(format!(
        "the result is beyond what a whole number can hold ({} to {})",
        i64::MIN,
        i64::MAX
    ))
}

fn operands(call: &Call<'_>) -> (Number, Number) {
    (Number::of(call.input), Number::of(call.argument(0)))
}

pub(super) fn plus(call: &Call<'_>) -> Result<Value> {
    let (left, right) = operands(call);
    left.add(right).map(Number::value)
}

pub(super) fn minus(call: &Call<'_>) -> Result<Value> {
    let (left, right) = operands(call);
    let difference = left.combine(right, i64::checked_sub, i128::checked_sub, |left, right| {
        left - right
    });
    difference.map(Number::value)
}

pub(super) fn times(call: &Call<'_>) -> Result<Value> {
    let (left, right) = operands(call);
    if let (Number::Int(left), Number::Int(right)) = (left, right) {
        let product = left.checked_mul(right).ok_or_else(overflow)?;
        return Ok(Value::scalar(product));
    }
    // The scales add up: no need for the same one.
    let exact = match (left.decimal(), right.decimal()) {
        (Some(left), Some(right)) => left.digits.checked_mul(right.digits).map(|digits| Decimal {
            digits,
            scale: left.scale + right.scale,
        }),
        _ => None,
    };
    Ok(Value::scalar(exact.map_or_else(
        || left.to_f64() * right.to_f64(),
        Decimal::to_f64,
    )))
}

fn division_by_zero() -> Error {
    Error::with_msg("divided by 0: check the divisor before")
}

pub(super) fn divided_by(call: &Call<'_>) -> Result<Value> {
    let (left, right) = operands(call);
    if let (Number::Int(left), Number::Int(right)) = (left, right) {
        if right == 0 {
            return Err(division_by_zero());
        }
        let quotient = left.checked_div(right).ok_or_else(overflow)?;
        // Ruby rounds down, and Rust to zero.
        let down = i64::from(left % right != 0 && (left < 0) != (right < 0));
        return Ok(Value::scalar(quotient - down));
    }
    if right.to_f64() == 0.0 {
        return Err(division_by_zero());
    }
    Ok(Value::scalar(left.to_f64() / right.to_f64()))
}

pub(super) fn modulo(call: &Call<'_>) -> Result<Value> {
    let (left, right) = operands(call);
    if right.to_f64() == 0.0 {
        return Err(division_by_zero());
    }
    let rest = left.combine(
        right,
        // The sign of the divisor, as in Ruby.
        |left, right| Some(left.wrapping_rem(right)).map(|rest| fix(rest, right)),
        |left, right| {
            let rest = left % right;
            Some(if rest != 0 && (rest < 0) != (right < 0) {
                rest + right
            } else {
                rest
            })
        },
        |left, right| left - right * (left / right).floor(),
    );
    rest.map(Number::value)
}

fn fix(rest: i64, divisor: i64) -> i64 {
    if rest != 0 && (rest < 0) != (divisor < 0) {
        rest + divisor
    } else {
        rest
    }
}

pub(super) fn abs(call: &Call<'_>) -> Result<Value> {
    match Number::of(call.input) {
        Number::Int(number) => number.checked_abs().map(Value::scalar).ok_or_else(overflow),
        other => Ok(Value::scalar(other.to_f64().abs())),
    }
}

pub(super) fn at_least(call: &Call<'_>) -> Result<Value> {
    let (number, least) = operands(call);
    let chosen = if least.compare(number) == Ordering::Greater {
        least
    } else {
        number
    };
    Ok(chosen.value())
}

pub(super) fn at_most(call: &Call<'_>) -> Result<Value> {
    let (number, most) = operands(call);
    let chosen = if most.compare(number) == Ordering::Less {
        most
    } else {
        number
    };
    Ok(chosen.value())
}

/// A whole number from a float, if it can be one.
fn whole(number: f64) -> Result<Value> {
    // The greatest float below the limit, and the limit itself.
    if number.is_finite() && (-9.223_372_036_854_775e18..9.223_372_036_854_775e18).contains(&number)
    {
        Ok(Value::scalar(number as i64))
    } else {
        Err(overflow())
    }
}

pub(super) fn ceil(call: &Call<'_>) -> Result<Value> {
    match Number::of(call.input) {
        Number::Int(number) => Ok(Value::scalar(number)),
        Number::Decimal(Decimal { digits, scale }) => {
            let ceil = -Decimal {
                digits: -digits,
                scale,
            }
            .floor();
            i64::try_from(ceil)
                .map(Value::scalar)
                .map_err(|_| overflow())
        }
        Number::Float(number) => whole(number.ceil()),
    }
}

pub(super) fn floor(call: &Call<'_>) -> Result<Value> {
    match Number::of(call.input) {
        Number::Int(number) => Ok(Value::scalar(number)),
        Number::Decimal(decimal) => i64::try_from(decimal.floor())
            .map(Value::scalar)
            .map_err(|_| overflow()),
        Number::Float(number) => whole(number.floor()),
    }
}

pub(super) fn round(call: &Call<'_>) -> Result<Value> {
    let places = Number::of(call.argument(0)).to_f64() as i64;
    let number = Number::of(call.input);
    if places < 0 {
        let power = u32::try_from(-places)
            .ok()
            .and_then(|p| 10_i64.checked_pow(p));
        return Ok(match (number, power) {
            (Number::Int(number), Some(power)) => {
                let (number, power) = (i128::from(number), i128::from(power));
                let half = power / 2 * number.signum();
                let rounded = (number + half) / power * power;
                Value::scalar(i64::try_from(rounded).map_err(|_| overflow())?)
            }
            (number, Some(power)) => {
                let power = power as f64;
                Value::scalar((number.to_f64() / power).round() * power)
            }
            (_, None) => Value::scalar(0),
        });
    }
    match number {
        Number::Int(number) => Ok(Value::scalar(number)),
        Number::Decimal(decimal) => {
            let rounded = decimal.round(u32::try_from(places).unwrap_or(u32::MAX));
            if places == 0 {
                i64::try_from(rounded.digits)
                    .map(Value::scalar)
                    .map_err(|_| overflow())
            } else {
                Ok(Value::scalar(rounded.to_f64()))
            }
        }
        Number::Float(number) if places == 0 => whole(number.round()),
        Number::Float(number) => Ok(Value::scalar(number)),
    }
}
