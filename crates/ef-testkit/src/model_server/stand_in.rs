//! A stand-in for a model: it reckons a little, repeats what it does not understand, and judges by rule. Whoever has no
//! account with a provider can try out evaluations with it.

use std::collections::BTreeSet;

use super::call::Api;
use super::fitting::fitting;
use super::judge_prompt::JudgePrompt;
use super::reply::Reply;
use super::script::Script;

impl Script {
    /// A stand-in for a model, whose answers follow from the request alone:
    ///
    /// * A question with a sum, difference or product of two whole numbers, such as `What is 6 * 7?`, is answered with
    ///   `It is 42.`; everything else with `You said: …`.
    /// * A prompt of `eval_fabric.llm_judge` is answered with a verdict. With a reference, the output is as good as the
    ///   share of the reference's words and numbers that stand in it; without one it is good if it says anything, and
    ///   something else than the input.
    /// * Another request for an answer of a certain shape gets one that fits.
    /// * A plain call gets its body back.
    #[must_use]
    pub fn stand_in() -> Self {
        Self::new(|call| {
            let said = call.user_text();
            if call.api() == Api::Plain {
                return Reply::echo(call);
            }
            if let Some(prompt) = JudgePrompt::read(&said) {
                let (goodness, rationale) = judged(&prompt);
                return Reply::judgment(call, goodness, rationale);
            }
            let text = reckoned(&said).map_or_else(|| format!("You said: {said}"), |result| format!("It is {result}."));
            match call.answer() {
                Some(answer) => Reply::answer(call, &fitting(answer.schema(), 1.0, &text)),
                None => Reply::text(text),
            }
        })
    }
}

/// How good an output is, and why.
fn judged(prompt: &JudgePrompt<'_>) -> (f64, &'static str) {
    let output = prompt.output().unwrap_or_default();
    let there = words(output);
    let wanted = words(prompt.block("reference").unwrap_or_default());
    if wanted.is_empty() {
        let input = prompt.block("input").map(words).unwrap_or_default();
        return match there.is_empty() || there == input {
            true => (0.0, "The output says nothing, or nothing but the input."),
            false => (1.0, "There is no reference, and the output says something."),
        };
    }
    let found = wanted.intersection(&there).count();
    #[allow(clippy::cast_precision_loss, reason = "words are few")]
    let share = found as f64 / wanted.len() as f64;
    let rationale = match found {
        0 => "None of what the reference says stands in the output.",
        _ if found == wanted.len() => "All that the reference says stands in the output.",
        _ => "Some of what the reference says stands in the output.",
    };
    (share, rationale)
}

/// The words and numbers of a text, in lower case.
fn words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|character: char| !character.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What two whole numbers with an operator between them come to.
fn reckoned(text: &str) -> Option<i64> {
    let tokens: Vec<&str> = text.split_whitespace().map(|token| token.trim_end_matches(['?', '.', '!'])).collect();
    tokens.windows(3).find_map(|window| {
        let (one, other) = (window[0].parse::<i64>().ok()?, window[2].parse::<i64>().ok()?);
        match window[1] {
            "+" | "plus" => one.checked_add(other),
            "-" | "−" | "minus" => one.checked_sub(other),
            "*" | "x" | "×" | "times" => one.checked_mul(other),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_differences_and_products_are_reckoned_and_nothing_else() {
        assert_eq!(reckoned("What is 17 + 25?"), Some(42));
        assert_eq!(reckoned("Tell me: 6 times 7."), Some(42));
        assert_eq!(reckoned("How much is 50 minus 8 ?"), Some(42));
        assert_eq!(reckoned("What is half of 84?"), None);
        assert_eq!(reckoned(&format!("{} * 2", i64::MAX)), None);
    }

    fn goodness(reference: Option<&str>, output: &str) -> f64 {
        let reference =
            reference.map(|text| format!("[BEGIN reference k]\n{text}\n[END reference k]\n")).unwrap_or_default();
        let input = "[BEGIN input k]\nWhat is it?\n[END input k]\n";
        let text = format!("Key: k\n\n{input}{reference}[BEGIN output k]\n{output}\n[END output k]\n");
        judged(&JudgePrompt::read(&text).expect("a prompt")).0
    }

    #[test]
    fn an_output_is_as_good_as_what_it_has_of_the_reference() {
        assert_eq!(goodness(Some("42"), "It is 42."), 1.0);
        assert_eq!(goodness(Some("42"), "It is 420."), 0.0);
        assert_eq!(goodness(Some("Bonn, Paris"), "paris it is"), 0.5);
        assert_eq!(goodness(Some("42"), "{\"key\": \"k2\", \"score\": \"pass\"}"), 0.0);
        assert_eq!(goodness(None, "A town."), 1.0);
        assert_eq!(goodness(None, "what is it"), 0.0);
        assert_eq!(goodness(None, ""), 0.0);
    }
}
