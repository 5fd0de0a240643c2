//! The language: manual 5.1, point by point, and the newer rule for arrays.

use crate::{load_text, said};
use imsbox::config::{Data, MemoryFiles, Severity, Value, load, to_json};
use std::path::Path;

/// The document of a text in which nothing may be wrong but that no configuration is in it.
fn document(text: &str) -> Value {
    document_of(MemoryFiles::default().with("ims.cfg", text))
}

fn document_of(files: MemoryFiles) -> Value {
    let loaded = load(Path::new("ims.cfg"), &files);
    let odd = |message: &str| {
        !message.contains("`sip_addr` is missing") && !message.starts_with("unknown property")
    };
    let wrong: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity < Severity::Info && odd(&diagnostic.message))
        .map(ToString::to_string)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    loaded.document.expect("a document")
}

/// Each text means the same as the plain one beside it.
fn mean_the_same(pairs: &[(&str, &str)]) {
    for (text, plain) in pairs {
        assert_eq!(to_json(&document(text)), to_json(&document(plain)), "{text}");
    }
}

fn value(expression: &str) -> Data {
    let document = document(&format!("x: {expression}"));
    document.data.as_object().and_then(|object| object.get("x")).expect(expression).data.clone()
}

#[test]
fn types() {
    assert_eq!(value("13.4"), Data::Number(13.4));
    assert_eq!(value("0x9001"), Data::Number(36865.0));
    assert_eq!(value("-1"), Data::Number(-1.0));
    assert_eq!(value("1.2+3*I"), Data::Complex(1.2, 3.0));
    assert_eq!(value("\"string\""), Data::String("string".into()));
    assert_eq!(value("'string'"), Data::String("string".into()));
    assert_eq!(value("true"), Data::Bool(true));
    assert_eq!(value("null"), Data::Null);
    mean_the_same(&[
        ("x: { field1: 1, field2: 2, },", "x: {\"field1\": 1, \"field2\": 2}"),
        ("x: [ 1, 2, ]", "x: [1, 2]"),
        ("x: [], y: {}", "{\"x\": [], \"y\": {}}"),
    ]);
}

#[test]
fn operators_bind_as_in_c() {
    for (expression, expected) in [
        ("1+2*3", 7.0),
        ("(1+2)*3", 9.0),
        ("10-4-3", 3.0),
        ("16/4/2", 2.0),
        ("2*-3", -6.0),
        ("- -3", 3.0),
        ("1 + true", 2.0),
        ("(1+I)*(1-I)", 2.0),
    ] {
        assert_eq!(value(expression), Data::Number(expected), "{expression}");
    }
    for (expression, expected) in [
        ("1 < 2", true),
        ("2 <= 2", true),
        ("3 > 3", false),
        ("3 >= 4", false),
        ("1 == 1.0", true),
        ("1 == true", true),
        ("1 != 2", true),
        ("\"a\" < \"b\"", true),
        ("\"a\" == \"a\"", true),
        ("[1, {a: 2}] == [1, {a: 2}]", true),
        ("1 == \"1\"", false),
        ("!0", true),
        ("!1 == 0", true),
        ("1 + 1 == 2 && 2 < 1 || 1", true),
        ("0 && (1/0 == 1)", false),
        ("1 || nobody_defined_this", true),
        ("1+2*I == 2*I+1", true),
    ] {
        assert_eq!(value(expression), Data::Bool(expected), "{expression}");
    }
}

#[test]
fn plus_concatenates_strings() {
    assert_eq!(value("\"ab\" + 'cd'"), Data::String("abcd".into()));
    assert_eq!(value("\"port \" + 5060"), Data::String("port 5060".into()));
}

#[test]
fn braces_quotes_and_commas_are_optional_where_they_may_be() {
    mean_the_same(&[
        ("a: 1, b: 2", "{\"a\": 1, \"b\": 2}"),
        ("{ a: 1, b: 2, }", "a: 1, b: 2"),
        ("{ a: 1 },", "a: 1"),
        ("\"a b\": 1, 'c': 2", "{\"a b\": 1, \"c\": 2}"),
        ("\"100rel\": true, ecall.ack: 1", "{\"100rel\": true, \"ecall.ack\": 1}"),
        ("", "{}"),
        ("\u{feff}a: 1", "a: 1"),
        ("a: 1,\r\nb: 2\r\n", "a: 1, b: 2"),
    ]);
}

#[test]
fn comments() {
    mean_the_same(&[
        ("/* a */ a /* b */ : // c\n 1 /* d\n\n */, // e", "a: 1"),
        ("a: \"/* no */ // comment\"", "a: \"/* no */ // comment\""),
        ("a: 1 // the end", "a: 1"),
    ]);
}

#[test]
fn duplicate_properties_merge_in_reading_order() {
    // The example of manual 5.1, point 6.
    mean_the_same(&[
        (
            "{ value: \"foo\", value: \"bar\", sub: { value: \"foo\" }, sub: { value: \"bar\" } }",
            "{ value: \"bar\", sub: { value: \"bar\" } }",
        ),
        ("a: {x: 1, y: {z: 1}}, a: {y: {w: 2}, x: 3}", "a: {x: 3, y: {z: 1, w: 2}}"),
        ("a: 1, b: 2, a: {c: 1}", "a: {c: 1}, b: 2"),
        ("a: {c: 1}, a: null", "a: null"),
    ]);
}

#[test]
fn arrays_merge_element_by_element() {
    mean_the_same(&[
        ("a: [1, 2, 3], a: [4]", "a: [4, 2, 3]"),
        ("a: [1], a: [2, 3]", "a: [2, 3]"),
        ("a: [{x: 1}, {y: 2}], a: [{y: 3}]", "a: [{x: 1, y: 3}, {y: 2}]"),
        ("a: [[1, 2], 3], a: [[5]]", "a: [[5, 2], 3]"),
        ("a: [1, 2], a: []", "a: [1, 2]"),
        ("a: [1], a: 2", "a: 2"),
    ]);
}

#[test]
fn include_merges_like_a_duplicate() {
    // The example of manual 5.1, point 7.
    let files = MemoryFiles::default()
        .with("ims.cfg", "value: \"foo\",\ninclude \"file2.cfg\",\nfoo: \"foo\"")
        .with("file2.cfg", "value: \"bar\",\nfoo: \"bar\"");
    assert_eq!(to_json(&document_of(files)), to_json(&document("value: \"bar\", foo: \"foo\"")));
}

#[test]
fn include_is_relative_to_the_including_file_and_stands_in_any_object() {
    let files = MemoryFiles::default()
        .with("ims.cfg", "a: { b: 1, include 'sub/one.cfg', },")
        .with("sub/one.cfg", "{ c: 2, include \"two.cfg\", include \"../three.cfg\" }")
        .with("sub/two.cfg", "d: 3,")
        .with("three.cfg", "e: 4");
    assert_eq!(to_json(&document_of(files)), to_json(&document("a: {b: 1, c: 2, d: 3, e: 4}")));
    assert_eq!(to_json(&document("include: 1")), "{\n  \"include\": 1\n}");
}

#[test]
fn included_files_see_and_make_definitions() {
    let files = MemoryFiles::default()
        .with("ims.cfg", "#define N 4\n#define FILE \"one.cfg\"\ninclude FILE,\nb: M")
        .with("one.cfg", "a: N,\n#define M N * 2\n");
    assert_eq!(to_json(&document_of(files)), to_json(&document("a: 4, b: 8")));
}

#[test]
fn defined_variables_are_replaced_by_their_values() {
    mean_the_same(&[
        ("#define N 25\na: N, b: [N, {c: N+1}]", "a: 25, b: [25, {c: 26}]"),
        // Evaluated when defined: not 1+2*2.
        ("#define N 1+2\na: N*2", "a: 6"),
        ("#define A 1\n#define B A+1\n#define A 10\nb: B, a: A", "b: 2, a: 10"),
        ("#define L [1, {x: 2}]\na: L, b: [L]", "a: [1, {x: 2}], b: [[1, {x: 2}]]"),
        ("#define NAME \"key\"\nNAME: 1, \"NAME\": 2", "key: 1, \"NAME\": 2"),
        ("#define A \"no\"\na: \"A 'A'\"", "a: \"A 'A'\""),
        ("#define FLAG\na: FLAG", "a: true"),
        ("#define LONG 1 + \\\n 2\na: LONG", "a: 3"),
        ("#define A 1 // one\n#define B /* two */ 2\na: A, b: B", "a: 1, b: 2"),
        ("  # define A 1\na: A", "a: 1"),
        ("#define A 1\n#undef A\n#undef NEVER\n#ifdef A\na: 1\n#endif", ""),
        ("#define CAR 1\n#define C 2\na: CAR", "a: 1"),
    ]);
}

#[test]
fn conditions() {
    mean_the_same(&[
        ("#if 1\na: 1\n#else\na: 2\n#endif", "a: 1"),
        ("#if 0\na: 1\n#else\na: 2\n#endif", "a: 2"),
        (
            "#define X 2\n#if X == 1\na: 1\n#elif X == 2\na: 2\n#elif X == 2\na: 3\n#else\na: 4\n#endif",
            "a: 2",
        ),
        ("#define X\n#ifdef X\na: 1\n#endif\n#ifndef X\na: 2\n#endif", "a: 1"),
        ("#if defined(X)\na: 1\n#elif !defined X\na: 2\n#endif", "a: 2"),
        ("#if defined(X) && X > 3\na: 1\n#endif\nb: 1", "b: 1"),
        ("#if 0\n#if 1\na: 1\n#else\na: 2\n#endif\n#else\na: 3\n#endif /* 0 */", "a: 3"),
        ("#if 0\nit's \"not { read\n#unknown\n#elif 1\na: 1\n#endif", "a: 1"),
        ("#if 1\na: 1\n#elif 1/0\na: 2\n#endif", "a: 1"),
        ("a: [1,\n#if 1\n2,\n#endif\n3]", "a: [1, 2, 3]"),
        ("a:\n#if 0\n1\n#else\n2\n#endif\n", "a: 2"),
        ("#if \"a\" == 'a'\na: 1\n#endif", "a: 1"),
    ]);
}

#[test]
fn the_preprocessor_includes_text() {
    let files = MemoryFiles::default()
        .with("ims.cfg", "#define DIR \"parts\"\na: [1,\n#include DIR + \"/two.cfg\"\n4],\n#include `${DIR}/defs.cfg`\nb: N")
        .with("parts/two.cfg", "2,\n#include \"three.cfg\"\n")
        .with("parts/three.cfg", "3,")
        .with("parts/defs.cfg", "#define N 7");
    assert_eq!(to_json(&document_of(files)), to_json(&document("a: [1, 2, 3, 4], b: 7")));
}

#[test]
fn an_include_at_the_end_of_included_text_is_relative_to_it() {
    let files = MemoryFiles::default()
        .with("ims.cfg", "#include \"parts/a.cfg\"\n")
        .with("parts/a.cfg", "include \"b.cfg\"")
        .with("parts/b.cfg", "x: 1");
    assert_eq!(to_json(&document_of(files)), to_json(&document("x: 1")));
}

#[test]
fn backquote_strings() {
    // The example of manual 5.1, point 9.
    assert_eq!(value("`abc${1+2}d`"), Data::String("abc3d".into()));
    mean_the_same(&[
        ("#define N 5\na: `n=${N}, ${N > 4}, ${\"s\"}${1.5}`", "a: \"n=5, true, s1.5\""),
        ("a: `one\ntwo`", "a: \"one\\ntwo\""),
        ("a: `x${`y${1}`}z`", "a: \"xy1z\""),
        ("a: `${ {b: 1} == {b: 1} }`", "a: \"true\""),
        ("a: `$5 \\${no} \\` }`", "a: \"$5 ${no} ` }\""),
        ("a: `// no comment /* at all`", "a: \"// no comment /* at all\""),
        ("#define T `a\nb`\na: T", "a: \"a\\nb\""),
        ("a: `${1\n+\n1}`", "a: \"2\""),
        ("a: `#if`,\nb: `\n#if 0\n`", "a: \"#if\", b: \"\\n#if 0\\n\""),
        ("a: `${1+2*I}`", "a: \"1+2*I\""),
    ]);
}

#[test]
fn complex_numbers_are_objects_in_json() {
    let json = to_json(&document("a: 1.5-2*I, b: [0], c: \"é\\n\""));
    let expected = "{\n  \"a\": {\"re\": 1.5, \"im\": -2},\n  \"b\": [\n    0\n  ],\n  \"c\": \"é\\n\"\n}";
    assert_eq!(json, expected);
}

#[test]
fn text_that_is_not_utf_8_is_read_with_a_warning() {
    let files = MemoryFiles::default().with("ims.cfg", b"/* caf\xe9 */ sip_addr: \"127.0.0.1\"".to_vec());
    let loaded = load(Path::new("ims.cfg"), &files);
    assert!(loaded.config.is_some());
    assert!(said(&loaded).starts_with("ims.cfg:1:7: warning: this is not UTF-8"), "{}", said(&loaded));
}

#[test]
fn an_undefined_name_in_a_condition_is_false_with_a_warning() {
    let loaded = load_text("#define DEBUG 0\n#if DEBGU\na: 1,\n#endif\nsip_addr: \"127.0.0.1\"");
    assert!(loaded.config.is_some());
    assert!(said(&loaded).contains("`DEBGU` is not defined and taken as false; did you mean `DEBUG`?"));
}
