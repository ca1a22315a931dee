//! An answer of an engine's route, and how a refusal is printed. The engine runs elsewhere, or was opened here.

use serde_json::Value;

use super::output::{Failure, plain};

/// An answer of the engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Takes the next bytes of an answer.
pub(super) type Taker<'t> = dyn FnMut(&[u8]) -> Result<(), Failure> + 't;

/// Returns the document of a success, or a failure with the problem's detail and wrong fields.
pub(super) fn success(answer: &Answer) -> Result<Value, Failure> {
    let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Answer { status, .. } = answer;
    match document {
        Some(document) if (200..300).contains(status) => Ok(document),
        Some(problem) => Err(Failure::Failed(explain(*status, &problem))),
        None => Err(Failure::Failed(format!(
            "the answer ({status}) isn't JSON: is this the URL of an onsale engine?"
        ))),
    }
}

fn explain(status: u16, problem: &Value) -> String {
    let member = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(plain);
    let code = member(problem, "code").unwrap_or_default();
    let detail = member(problem, "detail").unwrap_or_default();
    let errors = problem.get("errors").and_then(Value::as_array).into_iter().flatten();
    let told = errors.map(|error| {
        let field = member(error, "field").filter(|field| !field.is_empty());
        let field = field.unwrap_or_else(|| "(the whole)".to_owned());
        format!("\n  {field}: {}", member(error, "detail").unwrap_or_default())
    });
    format!("refused ({status} {code}): {detail}{}", told.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_field_by_field() {
        let body = br#"{"code": "invalid_request", "detail": "See `errors`.", "errors": [
            {"field": "venues[0].timeZone", "detail": "not a zone"}, {"field": "", "detail": "must be an object"}]}"#;
        let told = success(&Answer { status: 422, body: body.to_vec() }).unwrap_err().to_string();
        assert_eq!(
            told,
            "refused (422 invalid_request): See `errors`.\n  venues[0].timeZone: not a zone\n  (the whole): must be an object"
        );
    }

    #[test]
    fn an_answer_that_is_not_the_engines_is_a_failure() {
        let body = b"<html>".to_vec();
        assert!(success(&Answer { status: 200, body }).unwrap_err().to_string().contains("isn't JSON"));
    }
}
