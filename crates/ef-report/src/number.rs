//! Numbers and times as people read them.

use jiff::Timestamp;

/// What stands where there is no value.
pub(crate) const NONE: &str = "–";

/// A count with thousands separators: `1,319`.
pub(crate) fn count(value: u64) -> String {
    group(&value.to_string())
}

/// A count and its noun: `1 byte`, `1,319 bytes`.
pub fn counted(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// A value with four decimals, or with four significant digits where it is so small that decimals would hide it.
pub(crate) fn value(value: f64) -> String {
    const SMALL: f64 = 0.1;
    const TINY: f64 = 1e-4;
    const HUGE: f64 = 1e15;
    let size = value.abs();
    if size != 0.0 && !(TINY..HUGE).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = if size == 0.0 || size >= SMALL {
        4
    } else if size >= 0.01 {
        5
    } else if size >= 0.001 {
        6
    } else {
        7
    };
    let digits = format!("{value:.decimals$}");
    match digits.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", group(whole)),
        None => group(&digits),
    }
}

/// An optional value.
pub(crate) fn optional(number: Option<f64>) -> String {
    number.map_or_else(|| NONE.to_owned(), value)
}

/// US dollars: to the cent, and of less than one as many digits as of a value.
pub(crate) fn dollars(usd: f64) -> String {
    let digits = if usd < 1.0 { value(usd) } else { format!("{usd:.2}") };
    let Some((whole, fraction)) = digits.split_once('.').filter(|_| !digits.contains('e')) else {
        return format!("${digits}");
    };
    let fraction = fraction.trim_end_matches('0');
    format!("${}.{fraction:0<2}", if usd < 1.0 { whole.to_owned() } else { group(whole) })
}

/// A time span in µs, in the unit that suits it.
pub(crate) fn duration(micros: u64) -> String {
    const MILLI: u64 = 1_000;
    const SECOND: u64 = 1_000_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    #[allow(clippy::cast_precision_loss, reason = "shown with two decimals")]
    let in_unit = |unit: u64| micros as f64 / unit as f64;
    if micros < MILLI {
        format!("{micros} µs")
    } else if micros < SECOND {
        format!("{:.1} ms", in_unit(MILLI))
    } else if micros < MINUTE {
        format!("{:.2} s", in_unit(SECOND))
    } else if micros < HOUR {
        format!("{} min {:02} s", micros / MINUTE, micros % MINUTE / SECOND)
    } else {
        format!("{} h {:02} min", group(&(micros / HOUR).to_string()), micros % HOUR / MINUTE)
    }
}

/// Items a second, where there was any time at all.
pub(crate) fn rate(items: u64, micros: u64) -> Option<String> {
    if micros == 0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
    let rate = items as f64 * 1e6 / micros as f64;
    Some(if rate >= 100.0 { group(&format!("{rate:.0}")) } else { format!("{rate:.1}") })
}

/// A time in µs since 1970 as `2026-11-22 13:05:09Z`.
pub(crate) fn second(micros: i64) -> String {
    time(micros, "%Y-%m-%d %H:%M:%SZ")
}

/// A time in µs since 1970 as `2026-11-22 13:05:09.000001Z`.
pub(crate) fn microsecond(micros: i64) -> String {
    time(micros, "%Y-%m-%d %H:%M:%S%.6fZ")
}

fn time(micros: i64, format: &str) -> String {
    // A damaged record may hold a time out of the calendar's range; it is shown as it is.
    Timestamp::from_microsecond(micros)
        .map_or_else(|_| format!("{micros} µs since 1970"), |time| time.strftime(format).to_string())
}

/// Puts a comma between groups of three digits.
fn group(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        for (number, shown) in [(0, "0"), (999, "999"), (1_319, "1,319"), (1_000_000, "1,000,000")] {
            assert_eq!(count(number), shown);
        }
        assert_eq!(counted(1, "byte"), "1 byte");
        assert_eq!(counted(2_000, "byte"), "2,000 bytes");
    }

    #[test]
    fn values_have_four_significant_decimals() {
        for (number, shown) in [
            (0.562_547_384, "0.5625"),
            (1.0, "1.0000"),
            (0.0, "0.0000"),
            (0.021_683_1, "0.02168"),
            (0.000_123_45, "0.0001234"),
            (0.000_012_345, "1.234e-5"),
            (-12_345.678_9, "-12,345.6789"),
            (1e20, "1.000e20"),
        ] {
            assert_eq!(value(number), shown);
        }
    }

    #[test]
    fn time_spans_choose_their_unit() {
        for (micros, shown) in [
            (0, "0 µs"),
            (1_234, "1.2 ms"),
            (2_103_000, "2.10 s"),
            (61_000_000, "1 min 01 s"),
            (3_600_000_000, "1 h 00 min"),
            (u64::MAX, "5,124,095,576 h 01 min"),
        ] {
            assert_eq!(duration(micros), shown);
        }
    }

    #[test]
    fn a_time_out_of_the_calendar_is_shown_as_it_is() {
        assert_eq!(second(1_795_352_709_000_000), "2026-11-22 13:05:09Z");
        assert_eq!(microsecond(1_795_352_709_000_001), "2026-11-22 13:05:09.000001Z");
        assert_eq!(second(i64::MAX), "9223372036854775807 µs since 1970");
    }

    #[test]
    fn a_run_without_time_has_no_rate() {
        assert_eq!(rate(10, 0), None);
        assert_eq!(rate(1_319, 2_103_000).as_deref(), Some("627"));
        assert_eq!(rate(1_000_000, 20_000_000).as_deref(), Some("50,000"));
        assert_eq!(rate(1, 2_000_000).as_deref(), Some("0.5"));
    }
}
