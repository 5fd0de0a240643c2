//! Laws that hold for every document, shown on many.

use crate::{Repository, SAMPLES, load_text, root};
use imsbox::config::{
    Data, Files, Loaded, Member, MemoryFiles, Object, Origin, Value, effective, load, to_config, to_json,
};
use std::path::Path;

/// A small reproducible generator (the multiplier is Knuth's).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }

    fn value(&mut self, depth: u64) -> Data {
        match self.roll(if depth == 0 { 5 } else { 7 }) {
            0 => Data::Null,
            1 => Data::Bool(self.roll(2) == 1),
            2 => Data::Number(self.number()),
            3 => Data::Complex(self.number(), self.pick(&[1.0, -2.5, 1e-9])),
            4 => {
                Data::String(self.pick(&["", "a\"b\\", "é\n\t\u{1}", "${x} `", "001010123456789"]).to_owned())
            }
            5 => Data::Array((0..self.roll(4)).map(|_| at_nowhere(self.value(depth - 1))).collect()),
            _ => Data::Object(self.object(depth - 1)),
        }
    }

    fn number(&mut self) -> f64 {
        self.pick(&[0.0, 1.0, -1.0, 13.4, 0.1, 1e300, 5e-324, -2e-9, 36865.0, 1e21, 123_456_789_012.0])
    }

    fn object(&mut self, depth: u64) -> Object {
        let mut object = Object::default();
        for _ in 0..self.roll(5) {
            let name =
                self.pick(&["a", "b", "100rel", "ecall.ack", "", "true", "include", "ü \"x\""]).to_owned();
            object.put(Member { name, at: Origin::default(), value: at_nowhere(self.value(depth)) });
        }
        object
    }

    /// An object in which a name always has the same kind of value, as in a configuration: `n` numbers, `s` strings,
    /// `o` such objects, `l` arrays of such objects.
    fn shaped(&mut self, depth: u64) -> Object {
        let mut object = Object::default();
        for _ in 0..self.roll(5) {
            let name = self.pick(if depth == 0 { &["n", "s"][..] } else { &["n", "s", "o", "l"][..] });
            let data = match name {
                "n" => Data::Number(self.roll(9) as f64),
                "s" => Data::String(self.roll(9).to_string()),
                "o" => Data::Object(self.shaped(depth - 1)),
                _ => Data::Array(
                    (0..self.roll(3)).map(|_| at_nowhere(Data::Object(self.shaped(depth - 1)))).collect(),
                ),
            };
            object.put(Member { name: name.to_owned(), at: Origin::default(), value: at_nowhere(data) });
        }
        object
    }
}

fn at_nowhere(data: Data) -> Value {
    Value::new(data, Origin::default())
}

fn merged(mut first: Value, later: Value) -> Value {
    first.merge(later);
    first
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let mut dice = Dice(1);
    for _ in 0..2000 {
        let document = at_nowhere(Data::Object(dice.object(3)));
        let text = to_config(&document);
        assert_eq!(load_text(&text).document, Some(document), "{text}");
    }
}

#[test]
fn json_is_json() {
    let mut dice = Dice(2);
    for _ in 0..2000 {
        let document = at_nowhere(Data::Object(dice.object(3)));
        let json: serde_json::Value = serde_json::from_str(&to_json(&document)).expect("JSON");
        assert!(same(&document.data, &json), "{json}");
    }
}

fn same(data: &Data, json: &serde_json::Value) -> bool {
    match data {
        Data::Null | Data::Invalid => json.is_null(),
        Data::Bool(value) => json.as_bool() == Some(*value),
        Data::Number(value) => json.as_f64() == Some(*value),
        Data::Complex(re, im) => json["re"].as_f64() == Some(*re) && json["im"].as_f64() == Some(*im),
        Data::String(text) => json.as_str() == Some(text),
        Data::Array(items) => json.as_array().is_some_and(|list| {
            list.len() == items.len() && items.iter().zip(list).all(|(item, json)| same(&item.data, json))
        }),
        Data::Object(object) => json.as_object().is_some_and(|map| {
            map.len() == object.members().len()
                && object.members().iter().all(|member| same(&member.value.data, &map[&member.name]))
        }),
    }
}

#[test]
fn merging_is_associative_where_names_keep_their_kind() {
    let mut dice = Dice(3);
    for _ in 0..2000 {
        let [a, b, c] = [(); 3].map(|()| at_nowhere(Data::Object(dice.shaped(3))));
        let left = merged(merged(a.clone(), b.clone()), c.clone());
        let right = merged(a, merged(b, c));
        assert_eq!(left, right);
    }
}

#[test]
fn merging_with_itself_or_with_nothing_changes_nothing() {
    let mut dice = Dice(4);
    for _ in 0..2000 {
        let a = at_nowhere(Data::Object(dice.object(3)));
        let nothing = at_nowhere(Data::Object(Object::default()));
        assert_eq!(merged(a.clone(), a.clone()), a);
        assert_eq!(merged(a.clone(), nothing.clone()), a);
        assert_eq!(merged(nothing, a.clone()), a);
    }
}

#[test]
fn including_is_merging() {
    let mut dice = Dice(5);
    for _ in 0..500 {
        let [a, b, c] = [(); 3].map(|()| at_nowhere(Data::Object(dice.object(3))));
        let files = MemoryFiles::default()
            .with("ims.cfg", "include \"a.cfg\", include \"b.cfg\", include \"c.cfg\",")
            .with("a.cfg", to_config(&a))
            .with("b.cfg", to_config(&b))
            .with("c.cfg", to_config(&c));
        let included = load(Path::new("ims.cfg"), &files).document;
        assert_eq!(included, Some(merged(merged(a, b), c)));
    }
}

/// The typed result in a form that can be compared.
fn typed(loaded: &Loaded) -> String {
    format!("{:#?}", loaded.config)
}

#[test]
fn the_effective_configuration_gives_the_same_result() {
    for path in SAMPLES {
        let loaded = load(Path::new(path), &Repository);
        let text = effective(&loaded);
        let alone = |text: String| {
            let media = Repository.read(Path::new("config/sdp/amr-wb.sdp")).unwrap();
            let files = MemoryFiles::default().with(path, text).with("config/sdp/amr-wb.sdp", media);
            load(Path::new(path), &files)
        };
        let again = alone(text.clone());
        assert_eq!(typed(&again), typed(&loaded), "{text}");
        let plain = to_config(loaded.document.as_ref().unwrap());
        assert_eq!(typed(&alone(plain)), typed(&loaded));
    }
}

#[test]
fn the_effective_configuration_keeps_what_the_samples_do_not_use() {
    let key = "00112233445566778899aabbccddeeff";
    let text = format!(
        "sip_addr: [{{ addr: \"192.0.2.1\", bind_addr: \"0.0.0.0:5070\" }}, \"::1\"], session_expires: 600, com_logs_lock: 1,
         precondition: false, custom_headers: {{}}, custom_headers: [{{ name: \"X\", value: null, methods: \"*\", codes: [0] }}],
         sms_message_filter: {{ cp_data: {{ action: \"reject\" }}, rp_ack: \"ignore\" }}, n5: {{ api_root: \"http://x:1\" }},
         ue_db: [{{ imsi: \"001010123456789\", sim_algo: \"milenage\", K: \"{key}\", opc: \"{key}\", amf: \"b9b9\", res_len: 4,
           r: [1, 2, 3, 4, 5], isim_auth: {{ K: \"{key}\", op: \"{key}\" }}, pdn_list: [{{ a: {{ b: 1 }} }}], odd: {{ x: [1] }},
           impu: {{ impu: \"tel:+1\", prefered: true, session_expires: {{ min: 95 }}, verstat: null, callflow_modifier:
             {{ method: \"INVITE\", \"ecall.ack\": \"x\", custom_headers: [{{ name: \"Y\" }}] }} }}, count: 3 }},
           {{ impi: \"a\", domain: \"x.org\", pwd: \"p\", authent_qop: \"auth,auth-int\" }}]"
    );
    let loaded = load_text(&text);
    assert!(loaded.config.is_some(), "{:?}", loaded.diagnostics);
    let effective_text = effective(&loaded);
    assert_eq!(typed(&load_text(&effective_text)), typed(&loaded), "{effective_text}");
    assert!(effective_text.contains("// impi: \"001010123456789@ims.mnc001.mcc001.3gppnetwork.org\","));
}

/// The files of the samples, in memory.
fn sample_files() -> MemoryFiles {
    let mut files = MemoryFiles::default();
    for path in [
        "config/ims.cfg",
        "config/sdp/amr-wb.sdp",
        "config/ue_db-ims.cfg",
        "config/cohost/ims.cfg",
        "config/cohost/ue_db-ims.cfg",
    ] {
        files = files.with(path, std::fs::read(root().join(path)).unwrap());
    }
    files
}

/// Loads a sample with one of its files changed; there is a result or an error, never both and never a panic.
fn load_changed(files: &mut MemoryFiles, path: &str, octets: Vec<u8>) {
    let original = files.0.insert(path.into(), octets);
    let main = if path.contains("cohost") { SAMPLES[1] } else { SAMPLES[0] };
    let loaded = load(Path::new(main), files);
    let has_error = loaded.diagnostics.iter().any(|diagnostic| diagnostic.is_error());
    assert_eq!(loaded.config.is_none(), has_error);
    files.0.insert(path.into(), original.unwrap());
}

#[test]
fn samples_cut_at_every_octet_never_panic() {
    let mut files = sample_files();
    for (path, octets) in files.0.clone() {
        for length in 0..octets.len() {
            load_changed(&mut files, path.to_str().unwrap(), octets[..length].to_vec());
        }
    }
}

#[test]
fn samples_with_a_changed_octet_never_panic() {
    let mut files = sample_files();
    let mut dice = Dice(6);
    for (path, octets) in files.0.clone() {
        for _ in 0..1500 {
            let mut changed = octets.clone();
            let at = dice.roll(octets.len() as u64) as usize;
            changed[at] = dice.pick(b"\0#\"'`{}[](),:+-*/!&|=<>\\\n0eI$\xff");
            load_changed(&mut files, path.to_str().unwrap(), changed);
        }
    }
}

#[test]
fn a_soup_of_tokens_never_panics() {
    const TOKENS: [&str; 48] = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        ",",
        ":",
        "+",
        "-",
        "*",
        "/",
        "!",
        "&&",
        "||",
        "==",
        "<",
        "`",
        "${",
        "\"",
        "'",
        "\\",
        "\n#define A ",
        "\n#if ",
        "\n#else\n",
        "\n#endif\n",
        "\n#ifdef A\n",
        "\n#undef A\n",
        "\n#include ",
        "\n#elif ",
        "\"ims.cfg\"",
        "\"b.cfg\"",
        "include ",
        "A",
        "a",
        "defined(",
        "I",
        "1",
        "0x",
        "1e3",
        "null",
        "\n",
        "//",
        "/*",
        "*/",
        "ue_db: [",
        "impu: ",
        "é",
    ];
    let mut dice = Dice(7);
    for _ in 0..20_000 {
        let length = dice.roll(40);
        let text: String = (0..length).map(|_| dice.pick(&TOKENS)).collect();
        let files =
            MemoryFiles::default().with("ims.cfg", text).with("b.cfg", "A: 1, #define A [1]\n1, `${A}`,");
        let loaded = load(Path::new("ims.cfg"), &files);
        assert_eq!(
            loaded.config.is_none(),
            loaded.diagnostics.iter().any(|diagnostic| diagnostic.is_error())
        );
    }
}
