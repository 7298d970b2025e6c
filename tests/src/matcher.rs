//! The subset match of the case files (tests/cases/rest/README.md).

use regex::Regex;
use serde_json::Value;

/// Why `actual` does not match `expected`; `None` when it does. `at` is the JSON pointer in
/// failures.
#[must_use]
pub fn mismatch(expected: &Value, actual: Option<&Value>, at: &str) -> Option<String> {
    let shown = || actual.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let fails = |what: &str| {
        Some(format!(
            "{}: wanted {what}, found {}",
            if at.is_empty() { "/" } else { at },
            shown()
        ))
    };
    let when = |holds: bool, what: &str| if holds { None } else { fails(what) };
    match expected {
        Value::String(word) => match word.as_str() {
            "$any" => when(actual.is_some(), "anything"),
            "$absent" => when(actual.is_none(), "nothing"),
            "$string" => when(actual.is_some_and(Value::is_string), "a string"),
            "$number" => when(actual.is_some_and(Value::is_number), "a number"),
            "$boolean" => when(actual.is_some_and(Value::is_boolean), "a boolean"),
            "$array" => when(actual.is_some_and(Value::is_array), "an array"),
            "$object" => when(actual.is_some_and(Value::is_object), "an object"),
            _ => when(actual == Some(expected), &expected.to_string()),
        },
        Value::Object(members)
            if members.len() == 1 && members.keys().all(|key| key.starts_with('$')) =>
        {
            let (word, argument) = members.iter().next()?;
            special(word, argument, actual).and_then(|what| fails(&what))
        }
        Value::Object(members) => match actual {
            Some(Value::Object(found)) => members
                .iter()
                .find_map(|(key, want)| mismatch(want, found.get(key), &format!("{at}/{key}"))),
            _ => fails("an object"),
        },
        Value::Array(wanted) => match actual {
            Some(Value::Array(found)) if found.len() == wanted.len() => {
                wanted.iter().enumerate().find_map(|(index, want)| {
                    mismatch(want, found.get(index), &format!("{at}/{index}"))
                })
            }
            _ => fails(&format!("an array of {}", wanted.len())),
        },
        _ => when(
            actual.is_some_and(|actual| same(expected, actual)),
            &expected.to_string(),
        ),
    }
}

/// Numbers are compared by value: 1 and 1.0 are the same JSON number.
fn same(expected: &Value, actual: &Value) -> bool {
    expected == actual
        || matches!((expected.as_f64(), actual.as_f64()), (Some(left), Some(right)) if left == right)
}

fn special(word: &str, argument: &Value, actual: Option<&Value>) -> Option<String> {
    let list = || actual.and_then(Value::as_array);
    let holds = |wanted: &Value| {
        list().is_some_and(|found| {
            found
                .iter()
                .any(|item| mismatch(wanted, Some(item), "").is_none())
        })
    };
    let wanted = || argument.as_array().into_iter().flatten();
    let fine = match word {
        "$contains" => list().is_some() && wanted().all(holds),
        "$excludes" => list().is_some() && !wanted().any(holds),
        "$length" => {
            let length = actual.and_then(|value| {
                value
                    .as_array()
                    .map(Vec::len)
                    .or_else(|| value.as_str().map(|text| text.chars().count()))
            });
            length.map(|length| length as u64) == argument.as_u64()
        }
        "$matches" => {
            let pattern = Regex::new(argument.as_str().unwrap_or_default())
                .unwrap_or_else(|error| panic!("{error}"));
            actual
                .and_then(Value::as_str)
                .is_some_and(|text| pattern.is_match(text))
        }
        "$atLeast" => {
            matches!((actual.and_then(Value::as_f64), argument.as_f64()), (Some(found), Some(least)) if found >= least)
        }
        _ => panic!("no such matcher: {word}"),
    };
    (!fine).then(|| format!("{word} {argument}"))
}

#[cfg(test)]
mod tests {
    use super::mismatch;
    use serde_json::json;

    #[test]
    fn subsets_and_matchers_match() {
        let actual = json!({"a": 1, "b": [{"id": "x"}, {"id": "y"}], "c": "abc", "d": null});
        for expected in [
            json!({"a": 1.0}),
            json!({"b": [{"id": "x"}, "$object"]}),
            json!({"b": {"$contains": [{"id": "y"}]}}),
            json!({"b": {"$excludes": [{"id": "z"}]}}),
            json!({"b": {"$length": 2}, "c": {"$length": 3}}),
            json!({"c": {"$matches": "^a"}, "a": {"$atLeast": 1}}),
            json!({"d": "$any", "e": "$absent"}),
        ] {
            assert_eq!(mismatch(&expected, Some(&actual), ""), None, "{expected}");
        }
        for expected in [
            json!({"a": 2}),
            json!({"b": []}),
            json!({"d": "$absent"}),
            json!({"e": "$any"}),
            json!({"c": {"$matches": "^b"}}),
        ] {
            assert!(
                mismatch(&expected, Some(&actual), "").is_some(),
                "{expected}"
            );
        }
    }
}
