//! What is accepted as a schema and what a schema says about payloads.

use limits::plugin_event::{
    SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_ENUM_MAX, SCHEMA_NODES_MAX,
    SCHEMA_PATTERN_CHARS_MAX, SCHEMA_PATTERNS_MAX, VIOLATIONS_MAX,
};
use plugin_event::Schema;
use proptest::prelude::*;
use serde_json::{Value, json};

fn code(text: &str) -> &'static str {
    Schema::compile(text).map_or_else(|error| error.code(), |_| "ok")
}

fn nested(levels: usize) -> String {
    format!("{}true{}", r#"{"not":"#.repeat(levels), "}".repeat(levels))
}

#[test]
fn both_sides_of_every_bound() {
    let bytes = |total: usize| {
        format!(
            r#"{{"$comment":"{}"}}"#,
            "x".repeat(total - r#"{"$comment":""}"#.len())
        )
    };
    assert_eq!(
        (
            code(&bytes(SCHEMA_BYTES_MAX)),
            code(&bytes(SCHEMA_BYTES_MAX + 1))
        ),
        ("ok", "SCHEMA_TOO_LARGE")
    );
    assert_eq!(
        (
            code(&nested(SCHEMA_DEPTH_MAX)),
            code(&nested(SCHEMA_DEPTH_MAX + 1))
        ),
        ("ok", "SCHEMA_TOO_DEEP")
    );
    let nodes = |count: usize| json!({"allOf": vec![json!({}); count - 1]}).to_string();
    assert_eq!(
        (
            code(&nodes(SCHEMA_NODES_MAX)),
            code(&nodes(SCHEMA_NODES_MAX + 1))
        ),
        ("ok", "SCHEMA_TOO_MANY_NODES")
    );
    let pattern = |chars: usize| json!({"pattern": "ä".repeat(chars)}).to_string();
    assert_eq!(
        (
            code(&pattern(SCHEMA_PATTERN_CHARS_MAX)),
            code(&pattern(SCHEMA_PATTERN_CHARS_MAX + 1))
        ),
        ("ok", "SCHEMA_PATTERN_TOO_LONG")
    );
    // Some 80 kB each, which the patterns of one schema share.
    let wide = |count: usize| json!({"allOf": vec![json!({"pattern": r"^\p{L}{1,4}$"}); count]});
    assert_eq!(
        (
            code(&wide(1).to_string()),
            code(&wide(SCHEMA_PATTERNS_MAX).to_string())
        ),
        ("ok", "SCHEMA_PATTERN_UNSUPPORTED")
    );
    let key = |chars: usize| json!({"patternProperties": {"a".repeat(chars): true}}).to_string();
    assert_eq!(
        (
            code(&key(SCHEMA_PATTERN_CHARS_MAX)),
            code(&key(SCHEMA_PATTERN_CHARS_MAX + 1))
        ),
        ("ok", "SCHEMA_PATTERN_TOO_LONG")
    );
    let entries = |count: usize| json!({"enum": (0..count).collect::<Vec<_>>()}).to_string();
    assert_eq!(
        (
            code(&entries(SCHEMA_ENUM_MAX)),
            code(&entries(SCHEMA_ENUM_MAX + 1))
        ),
        ("ok", "SCHEMA_ENUM_TOO_LARGE")
    );
    let many = |count: usize| json!({"allOf": vec![json!({"pattern": "a"}); count]}).to_string();
    assert_eq!(
        (code(&many(64)), code(&many(65))),
        ("ok", "SCHEMA_TOO_MANY_PATTERNS")
    );
}

/// `levels` definitions, each asking twice for the next one.
fn doubling(levels: usize) -> String {
    let mut definitions = serde_json::Map::new();
    for level in 0..levels {
        let next = format!("#/$defs/d{}", level + 1);
        definitions.insert(
            format!("d{level}"),
            json!({"anyOf": [{"$ref": next}, {"$ref": next}]}),
        );
    }
    definitions.insert(format!("d{levels}"), json!({"type": "string"}));
    json!({"$ref": "#/$defs/d0", "$defs": definitions}).to_string()
}

#[test]
fn references_that_double_are_refused_before_they_cost() {
    assert_eq!(code(&doubling(8)), "ok");
    assert_eq!(code(&doubling(28)), "SCHEMA_REF_FANOUT");
    let hidden = doubling(28).replacen(r##""$ref":"#/$defs/d0""##, r#""type":"null""#, 1);
    assert_eq!(
        code(&hidden),
        "SCHEMA_REF_FANOUT",
        "definitions that nothing uses are compiled as well"
    );
    let disguised = doubling(28).replace("$defs", "properties");
    assert_eq!(
        code(&disguised),
        "SCHEMA_REF_FANOUT",
        "whatever the keyword is called"
    );
    let anchored = r##"{"$defs":{"a":{"$anchor":"a","anyOf":[{"$ref":"#b"},{"$ref":"#b"}]},"b":{"$anchor":"b","type":"null"}},"$ref":"#a"}"##;
    assert_eq!(code(anchored), "ok");
}

#[test]
fn recursion_compiles_and_ends() {
    let tree = r##"{"type":"object","properties":{"left":{"$ref":"#"},"right":{"$ref":"#"}},"additionalProperties":false}"##;
    let schema = Schema::compile(tree).expect("legal");
    assert!(schema.check(r#"{"left":{"left":{}},"right":{}}"#).is_ok());
    assert!(schema.check(r#"{"left":{"left":{"up":1}}}"#).is_err());
    for looping in [
        r##"{"$ref":"#"}"##,
        r##"{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}"##,
        r##"{"$dynamicRef":"#x","$dynamicAnchor":"x"}"##,
    ] {
        assert!(
            Schema::compile(looping)
                .expect("legal")
                .check("[1,[2]]")
                .is_ok(),
            "{looping}"
        );
    }
}

#[test]
fn recursion_that_branches_does_not_cost_exponential_time() {
    let twice = |keyword: &str| {
        let level = |minimum: u32| json!({"items": {"allOf": [{"$ref": "#"}, {"minItems": minimum}]}, "maxItems": 1});
        Schema::compile(&json!({keyword: [level(9), level(8)]}).to_string()).expect("legal")
    };
    let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let violations = twice(keyword)
            .check(&deep)
            .expect_err("no level has eight items");
        assert_eq!(violations[0].keyword, "schema", "{keyword}");
    }
    let list = Schema::compile(
        r##"{"type":"object","properties":{"next":{"$ref":"#"},"value":{"type":"integer"}}}"##,
    )
    .expect("legal");
    let violations = list
        .check(r#"{"next":{"next":{"value":"x"}}}"#)
        .expect_err("illegal");
    assert_eq!(
        (
            violations[0].pointer.as_str(),
            violations[0].keyword.as_str()
        ),
        ("/next/next/value", "type"),
        "one way back is no branching"
    );
}

#[test]
fn nothing_outside_the_document_is_referred_to() {
    for (text, expected) in [
        (r#"{"$ref":"http://127.0.0.1:9/x"}"#, "SCHEMA_EXTERNAL_REF"),
        (r#"{"$ref":"file:///etc/passwd"}"#, "SCHEMA_EXTERNAL_REF"),
        (r#"{"$ref":"other.json"}"#, "SCHEMA_EXTERNAL_REF"),
        (
            r#"{"properties":{"a":{"$id":"http://127.0.0.1:9/"}}}"#,
            "SCHEMA_EXTERNAL_REF",
        ),
        (
            r#"{"$dynamicRef":"http://127.0.0.1:9/x"}"#,
            "SCHEMA_EXTERNAL_REF",
        ),
        (r##"{"$ref":"#/$defs/absent"}"##, "SCHEMA_DANGLING_REF"),
        (r##"{"$ref":"#absent"}"##, "SCHEMA_DANGLING_REF"),
        (
            r#"{"$schema":"http://127.0.0.1:9/dialect"}"#,
            "UNSUPPORTED_DIALECT",
        ),
        (
            r#"{"$schema":"https://json-schema.org/draft/2019-09/schema"}"#,
            "UNSUPPORTED_DIALECT",
        ),
        (r#"{"$schema":7}"#, "UNSUPPORTED_DIALECT"),
        (
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"a":{"$schema":"http://json-schema.org/draft-07/schema#"}}}"#,
            "UNSUPPORTED_DIALECT",
        ),
        (
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}"#,
            "ok",
        ),
        (
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}]}"#,
            "ok",
        ),
        (r#"{"items":[{"type":"string"}]}"#, "SCHEMA_INVALID"),
        (r#"{"type":"integr"}"#, "SCHEMA_INVALID"),
        (
            r#"{"$id":"https://example.com/event","type":"object"}"#,
            "ok",
        ),
        ("true", "ok"),
        ("false", "ok"),
        ("{}", "ok"),
        (r#""{\"type\":\"object\"}""#, "ok"),
        ("[]", "SCHEMA_NOT_JSON"),
        ("7", "SCHEMA_NOT_JSON"),
        (r#""text""#, "SCHEMA_NOT_JSON"),
        ("{", "SCHEMA_NOT_JSON"),
        (r#"{"minimum":1e400}"#, "SCHEMA_NOT_JSON"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
}

#[test]
fn only_linear_patterns() {
    for (pattern, expected) in [
        ("^[a-z]+$", "ok"),
        ("^(a+)+$", "ok"),
        (r"^(?=.*\d).+$", "SCHEMA_PATTERN_UNSUPPORTED"),
        (r"(a)\1", "SCHEMA_PATTERN_UNSUPPORTED"),
        (r"\p{L}{1,5000}", "SCHEMA_PATTERN_UNSUPPORTED"),
        ("(", "SCHEMA_PATTERN_UNSUPPORTED"),
    ] {
        assert_eq!(
            code(&json!({"pattern": pattern}).to_string()),
            expected,
            "{pattern}"
        );
        assert_eq!(
            code(&json!({"patternProperties": {pattern: true}}).to_string()),
            expected,
            "{pattern} as key"
        );
    }
}

#[test]
fn violations_name_pointer_and_keyword_and_quote_no_payload() {
    let schema = Schema::compile(
        r#"{"type":"object","required":["choice"],"properties":{"choice":{"enum":["a","b"]},"list":{"items":{"type":"integer"}}}}"#,
    )
    .expect("legal");
    assert!(
        schema
            .check(r#" {"choice":"\u0061","list":[1,2.0,-3]} "#)
            .is_ok()
    );
    let violations = schema
        .check(r#"{"choice":"secret","list":[1,"x"]}"#)
        .expect_err("illegal");
    let found: Vec<_> = violations
        .iter()
        .map(|violation| (violation.pointer.as_str(), violation.keyword.as_str()))
        .collect();
    assert_eq!(found, [("/choice", "enum"), ("/list/1", "type")]);
    assert!(
        violations
            .iter()
            .all(|violation| !violation.message.contains("secret")),
        "{violations:?}"
    );
    let missing = schema.check("{}").expect_err("illegal");
    assert_eq!(
        (missing[0].pointer.as_str(), missing[0].keyword.as_str()),
        ("", "required")
    );
    let many = schema
        .check(&json!({"choice": "a", "list": vec!["x"; 100]}).to_string())
        .expect_err("illegal");
    assert_eq!(many.len(), VIOLATIONS_MAX);
}

#[test]
fn payloads_that_two_readers_could_understand_differently_are_refused() {
    let schema = Schema::compile("{}").expect("legal");
    let wide = |twice: &str| {
        format!(
            "{{{}\"{twice}\":0}}",
            (0..20).map(|n| format!("\"k{n}\":0,")).collect::<String>()
        )
    };
    for bad in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        &wide("k7"),
        "1e400",
        "[1,]",
        "{",
        "01",
        "1.",
        "\"\u{1}\"",
        r#""\ud800""#,
        r#""\x""#,
        "[] []",
        "",
        "nul",
        r#"{"a"}"#,
        r#"[1}"#,
    ] {
        let violations = schema.check(bad).expect_err(bad);
        assert_eq!(violations[0].keyword, "json", "{bad}");
    }
    assert!(schema.check(&wide("k20")).is_ok());
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(schema.check(&deep(128)).is_ok() && schema.check(&deep(129)).is_err());
}

#[test]
fn names_are_found_in_small_and_large_objects() {
    let schema = Schema::compile(
        r#"{"required":["k3","ä"],"properties":{"k3":{"const":{"x":[1,2.0]}}},"propertyNames":{"maxLength":3},"patternProperties":{"^k":true},"additionalProperties":{"type":"null"}}"#,
    )
    .expect("legal");
    assert!(
        schema
            .check(r#"{"k3":{"x":[1.0,2]},"\u00e4":null}"#)
            .is_ok()
    );
    let wide: String = (4..40).map(|n| format!(",\"k{n}\":{n}")).collect();
    assert!(
        schema
            .check(&format!(r#"{{"ä":null,"k3":{{"x":[1,2]}}{wide}}}"#))
            .is_ok()
    );
    assert!(
        schema
            .check(&format!(r#"{{"ä":null,"k3":{{"x":[1,3]}}{wide}}}"#))
            .is_err()
    );
    assert!(
        schema
            .check(&format!(r#"{{"k3":{{"x":[1,2]}}{wide}}}"#))
            .is_err()
    );
    assert!(
        schema
            .check(&format!(
                r#"{{"long":null,"ä":null,"k3":{{"x":[1,2]}}{wide}}}"#
            ))
            .is_err()
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(
            |number| serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number)
        ),
        (-3i8..3).prop_map(Value::from),
        "[a-c\"\\\\\n\u{0}äx]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-dä\"]{1,2}", inner, 0..14)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Schemas that use each keyword whose answer depends on how a payload is represented.
const SCHEMAS: &[&str] = &[
    r#"{"type":["object","integer","string"]}"#,
    r#"{"properties":{"a":{"type":"string","minLength":2},"b":{"minimum":0}},"required":["a"],"additionalProperties":false}"#,
    r#"{"items":{"type":["integer","null","array"]},"uniqueItems":true,"maxItems":4}"#,
    r#"{"enum":[null,1,"a",[1],{"a":1}]}"#,
    r#"{"patternProperties":{"^[ab]":{"type":"object"}},"propertyNames":{"maxLength":1},"minProperties":1}"#,
    r#"{"unevaluatedProperties":false,"anyOf":[{"properties":{"a":true}},{"properties":{"b":{"type":"number"}}}]}"#,
    r#"{"contains":{"multipleOf":2},"minContains":1,"unevaluatedItems":{"type":"string"}}"#,
    r##"{"properties":{"a":{"$ref":"#"},"b":{"not":{"$ref":"#"}}},"type":"object"}"##,
    r#"{"if":{"required":["a"]},"then":{"dependentRequired":{"a":["b"]}},"else":{"const":{}}}"#,
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_borrowed_reader_gives_the_verdicts_of_serde_json(value in any_json(), which in 0..SCHEMAS.len()) {
        let document: Value = serde_json::from_str(SCHEMAS[which]).expect("legal");
        let reference = jsonschema::validator_for(&document).expect("legal");
        let text = serde_json::to_string_pretty(&value).expect("serializes");
        let ours = Schema::compile(SCHEMAS[which]).expect("legal");
        prop_assert_eq!(ours.check(&text).is_ok(), reference.is_valid(&value), "{} against {}", text, SCHEMAS[which]);
        prop_assert_eq!(plugin_event::size::compact_bytes(&text), serde_json::to_string(&value).expect("serializes").len());
    }

    #[test]
    fn arbitrary_text_is_read_exactly_when_serde_json_reads_it(text in "[\\[\\]{}\",:0-9.eE+\\- a\\\\untrlfs]{0,24}") {
        let ours = Schema::compile("{}").expect("legal").check(&text);
        let twice = ours.as_ref().is_err_and(|violations| violations[0].message.contains("twice"));
        prop_assert_eq!(ours.is_ok() || twice, serde_json::from_str::<Value>(&text).is_ok(), "{:?}", text);
    }
}

#[test]
fn a_name_means_the_same_whatever_it_is() {
    for (text, expected) in [
        // Names that the library, or this crate, gives to documents without one.
        (r#"{"$id":"json-schema:///","type":"string"}"#, "ok"),
        (r#"{"$id":"json-schema:///root","type":"string"}"#, "ok"),
        (r#"{"$id":"json-schema:///document","type":"string"}"#, "ok"),
        (r#"{"$id":"event","type":"string"}"#, "ok"),
        (
            r##"{"$id":"https://example.com/event#","type":"string"}"##,
            "ok",
        ),
        (
            r##"{"$schema":"http://json-schema.org/draft-07/schema#","$id":"#event","type":"string"}"##,
            "ok",
        ),
        (r#"{"$id":"http://[","type":"string"}"#, "SCHEMA_INVALID"),
        (r##"{"$id":"#event","type":"string"}"##, "SCHEMA_INVALID"),
        (r#"{"$id":7,"type":"string"}"#, "SCHEMA_INVALID"),
    ] {
        assert_eq!(code(text), expected, "{text}");
        if let Ok(schema) = Schema::compile(text) {
            assert!(
                schema.check(r#""x""#).is_ok() && schema.check("1").is_err(),
                "{text}"
            );
        }
    }
}

#[test]
fn only_a_pattern_is_refused_as_a_pattern() {
    for dialect in [
        "https://json-schema.org/draft/2020-12/schema",
        "http://json-schema.org/draft-07/schema#",
    ] {
        for (member, expected) in [
            (r#""pattern":"(""#, "SCHEMA_PATTERN_UNSUPPORTED"),
            (
                r#""properties":{"a":{"patternProperties":{"(":true}}}"#,
                "SCHEMA_PATTERN_UNSUPPORTED",
            ),
            (r#""pattern":7"#, "SCHEMA_INVALID"),
            (r#""properties":{"pattern":7}"#, "SCHEMA_INVALID"),
            (
                r#""patternProperties":{"a":{"type":"integr"}}"#,
                "SCHEMA_INVALID",
            ),
            (r#""$id":"http://[""#, "SCHEMA_INVALID"),
            (r#""$comment":7"#, "SCHEMA_INVALID"),
        ] {
            let text = format!(r#"{{"$schema":"{dialect}",{member}}}"#);
            assert_eq!(code(&text), expected, "{text}");
        }
    }
    let pointer = |text: &str| {
        Schema::compile(text)
            .expect_err("illegal")
            .pointer()
            .map(str::to_owned)
    };
    assert_eq!(
        pointer(r#"{"properties":{"a":{"pattern":"("}}}"#).as_deref(),
        Some("/properties/a/pattern")
    );
    assert_eq!(
        pointer(r#"{"properties":{"a":{"type":"integr"}}}"#).as_deref(),
        Some("/properties/a/type")
    );
    assert_eq!(
        code(r#"{"$anchor":"1"}"#),
        "SCHEMA_INVALID",
        "the meta-schema has patterns of its own"
    );
}
