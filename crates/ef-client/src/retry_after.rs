//! When a server says to come back.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// How long a server asks to wait: `retry-after-ms` (milliseconds), or `Retry-After` (RFC 9110, section 10.2.3) as seconds or
/// as a date. A date is measured by the server's own clock where it tells the time. Nothing where it asks for no time at
/// all, or for none that can be read.
pub(crate) fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let wait = match text(header::HeaderName::from_static("retry-after-ms")).and_then(number) {
        Some(milliseconds) => seconds(milliseconds / 1000.0),
        None => {
            let asked = text(header::RETRY_AFTER)?;
            match number(asked) {
                Some(number) => seconds(number),
                None => {
                    let then = httpdate::parse_http_date(asked).ok()?;
                    let server = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
                    then.duration_since(server.unwrap_or(now)).ok()?
                }
            }
        }
    };
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn asked(pairs: &[(&'static str, &str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_str(value).expect("a header's value"));
        }
        wait(&headers, httpdate::parse_http_date("Sun, 22 Nov 2026 20:00:00 GMT").expect("a date"))
    }

    #[test]
    fn every_form_of_a_wait_is_understood() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(asked(&[("retry-after", "7")]), seconds(7));
        assert_eq!(asked(&[("retry-after", " 1.5 ")]), Some(Duration::from_millis(1500)));
        assert_eq!(asked(&[("retry-after-ms", "250"), ("retry-after", "7")]), Some(Duration::from_millis(250)));
        assert_eq!(asked(&[("retry-after", "Sun, 22 Nov 2026 20:00:30 GMT")]), seconds(30));
        assert_eq!(asked(&[("retry-after", "Sunday, 22-Nov-26 20:00:30 GMT")]), seconds(30));
        assert_eq!(asked(&[("retry-after", "Sun Nov 22 20:00:30 2026")]), seconds(30));
    }

    #[test]
    fn a_date_is_measured_by_the_clock_of_the_server_that_wrote_it() {
        let headers = [("retry-after", "Sun, 22 Nov 2026 09:00:05 GMT"), ("date", "Sun, 22 Nov 2026 09:00:00 GMT")];
        assert_eq!(asked(&headers), Some(Duration::from_secs(5)));
    }

    #[test]
    fn what_asks_for_no_time_asks_for_nothing() {
        for value in ["0", "-5", "NaN", "inf", "soon", "", "Sun, 22 Nov 2026 19:00:00 GMT"] {
            assert_eq!(asked(&[("retry-after", value)]), None, "{value}");
        }
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("retry-after", "1e300")]), Some(Duration::MAX));
    }

    proptest! {
        #[test]
        fn no_value_panics(value in "[ -~]{0,40}", date in "[ -~]{0,40}") {
            let _ = asked(&[("retry-after", &value), ("date", &date)]);
        }
    }
}
