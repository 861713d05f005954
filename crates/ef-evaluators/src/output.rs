//! From bytes to an output.

use std::str;

use ef_model::{CallError, Payload};
use schemars::JsonSchema;
use serde::Deserialize;

/// What kind of output bytes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutputForm {
    /// Text, which becomes a JSON string.
    #[default]
    Text,
    /// JSON.
    Json,
}

/// Reads an output; `what` is its name in errors, such as `the program's output`. JSON stays as it is, byte for byte, but
/// for white space round it; of text, the line break at its end is left out.
pub(crate) fn read(form: OutputForm, bytes: &[u8], what: &str) -> Result<Payload, CallError> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        CallError::invalid_output("output_not_utf8", format!("{what} is not UTF-8 from byte {at} on"))
    })?;
    match form {
        OutputForm::Text => {
            let line = text.strip_suffix('\n').unwrap_or(text);
            Ok(Payload::from_text(line.strip_suffix('\r').filter(|_| line.len() < text.len()).unwrap_or(line)))
        }
        OutputForm::Json => {
            let json = text.trim_matches([' ', '\t', '\r', '\n']);
            Payload::parse(json).map_err(|fault| {
                let hint = "`output: text` takes it as text";
                CallError::invalid_output("output_not_json", format!("{what} is no JSON value: {fault}; {hint}"))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &str) -> String {
        read(OutputForm::Text, bytes.as_bytes(), "it").expect("text").expose().to_owned()
    }

    #[test]
    fn of_text_one_line_break_at_the_end_is_left_out() {
        assert_eq!(text("a\n"), "\"a\"");
        assert_eq!(text("a\r\n"), "\"a\"");
        assert_eq!(text("a\n\n"), r#""a\n""#);
        assert_eq!(text(" a\r"), r#"" a\r""#);
        assert_eq!(text(""), r#""""#);
    }

    #[test]
    fn json_stays_as_it_is_but_for_white_space_round_it() {
        let read = |text: &str| read(OutputForm::Json, text.as_bytes(), "it");
        assert_eq!(read(" {\"a\" : 1.50}\n").expect("JSON").expose(), "{\"a\" : 1.50}");
        for text in ["", "secret", "{\"secret\": 1, \"secret\": 2}", "1 2", "NaN", "\u{feff}1"] {
            let error = read(text).expect_err(text);
            assert_eq!(error.code, "output_not_json");
            assert!(!error.message.contains("secret"), "{error}");
        }
    }
}
