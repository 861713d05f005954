//! Plain scalars by the rules of YAML 1.2's core schema (section 10.3.2).

use crate::tree::Value;

/// What a plain scalar without a tag is.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

/// What a scalar behind one of the core schema's tags is, if it fits the tag.
pub(super) fn tagged(text: &str, tag: Option<&str>) -> Option<Value> {
    match (tag?, resolve(text)) {
        #[allow(clippy::cast_precision_loss, reason = "the tag asks for a double")]
        ("float", Value::Integer(value)) => Some(Value::Float(value as f64)),
        ("null", value @ Value::Null)
        | ("bool", value @ Value::Bool(_))
        | ("int", value @ Value::Integer(_))
        | ("float", value @ Value::Float(_)) => Some(value),
        _ => None,
    }
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if is_digits(unsigned) {
        // JSON, too, knows -0 only as a double.
        if text.starts_with('-') && unsigned.bytes().all(|digit| digit == b'0') {
            return Some(Value::Float(-0.0));
        }
        return text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Float)).ok();
    }
    if is_float(unsigned) {
        return text.parse().map(Value::Float).ok();
    }
    match (unsigned, text.starts_with('-')) {
        (".inf" | ".Inf" | ".INF", true) => Some(Value::Float(f64::NEG_INFINITY)),
        (".inf" | ".Inf" | ".INF", false) => Some(Value::Float(f64::INFINITY)),
        (".nan" | ".NaN" | ".NAN", _) if unsigned.len() == text.len() => Some(Value::Float(f64::NAN)),
        _ => None,
    }
}

/// Unsigned digits of another base; more than fit are a text, for no double is meant by them.
fn radix(digits: &str, base: u32) -> Option<Value> {
    let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
    valid.then(|| i128::from_str_radix(digits, base).ok())?.map(Value::Integer)
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))
        && (is_digits(whole) && (fraction.is_empty() || is_digits(fraction))
            || whole.is_empty() && is_digits(fraction) && mantissa.starts_with('.'))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
