//! Style as a test: the order of the layers and the habits that a machine can check, over every file of the tree.
//!
//! A rule is a function from one source file to its offences; each names the line and what to do instead. Every rule has a
//! test of itself below, which hands it a bad sample: a rule that catches nothing is none. Strings and comments are blanked
//! out before the rules look at code, so that naming a forbidden thing is no offence.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a function may have, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Lines that a file may have.
const FILE_LINES: usize = 800;

/// The layers and what each may import of the others; left to right. `main` and `bin` may import everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("crypto", &[]),
    ("wire", &["base"]),
    ("proto", &["base", "crypto", "wire"]),
    ("config", &["base", "wire", "proto"]),
    ("ims", &["base", "crypto", "wire", "proto", "config"]),
    ("api", &["base", "wire", "proto", "config", "ims"]),
    ("node", &["base", "crypto", "wire", "proto", "config", "ims", "api"]),
    ("monitor", &["base", "api"]),
];

/// Crates that belong to some layers only.
const CRATES: &[(&str, &[&str])] = &[
    ("mio", &["node"]),
    ("platform", &["node", "main"]),
    ("libc", &[]),
    ("redb", &["node"]),
    ("getrandom", &["node", "main"]),
    ("rustyline", &["monitor", "main"]),
    ("lexopt", &["main"]),
];

/// Layers that may touch the operating system.
const WITH_IO: &[&str] = &["node", "monitor", "main"];
/// Layers that may read the clock.
const WITH_CLOCK: &[&str] = &["node", "main"];
/// Layers that may write to the terminal.
const WITH_TERMINAL: &[&str] = &["node", "monitor", "main"];
const NOWHERE: &[&str] = &[];

/// Words that a layer's own code (its tests excepted) may not contain: the word, where it is allowed, what to do instead.
const BANNED: &[(&str, &[&str], &str)] = &[
    ("Instant::now", WITH_CLOCK, "take `now` as a parameter"),
    ("SystemTime", WITH_CLOCK, "take the wall time from the context"),
    ("Rc<RefCell", NOWHERE, "keep an id into an arena"),
    ("Arc<Mutex", WITH_IO, "keep an id into an arena"),
    ("todo!", NOWHERE, "build it, or do not offer it"),
    ("unimplemented!", NOWHERE, "build it, or do not offer it"),
    ("dbg!", NOWHERE, "push a trace event"),
    ("println!", WITH_TERMINAL, "push a trace event"),
    ("eprintln!", WITH_TERMINAL, "push a trace event"),
    ("print!", WITH_TERMINAL, "push a trace event"),
    ("eprint!", WITH_TERMINAL, "push a trace event"),
    ("std::fs", WITH_IO, "let node do it: an output of the outbox, an input of the core"),
    ("std::env", WITH_IO, "hand it in as configuration"),
    ("std::process", WITH_IO, "let node do it"),
    ("std::thread", WITH_IO, "let node do it"),
    ("UdpSocket", WITH_IO, "let node do it: an output of the outbox, an input of the core"),
    ("TcpStream", WITH_IO, "let node do it: an output of the outbox, an input of the core"),
    ("TcpListener", WITH_IO, "let node do it"),
    ("UnixStream", WITH_IO, "let node do it"),
    ("UnixListener", WITH_IO, "let node do it"),
    ("thread_local!", NOWHERE, "keep it in the struct that owns it"),
    ("static mut", NOWHERE, "keep it in the struct that owns it"),
    (".unwrap()", NOWHERE, "handle it, or say why it cannot fail: `.expect(\"…\")`"),
];

/// What may lie at the top of the tree, beside dot files, licence texts and the build's own folder.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "platform",
    "config",
    "scripts",
    "tests",
    "benches",
    "README.md",
    "CHANGELOG.md",
    "target",
];

/// Words of somebody's machine or tracker, in two halves so that this file does not hold them itself.
const FOREIGN: &[(&str, &str)] =
    &[("/wo", "rk/"), ("/tmp/te", "am"), ("../sha", "red"), ("issue", " #"), ("/home", "/")];

/// One Rust source file, as the rules see it.
struct Source {
    /// Path from the top of the tree, with `/`.
    path: String,
    /// The text as it is.
    raw: String,
    /// The text with comments, strings and character literals blanked; same lines.
    code: String,
    /// For each line: whether it belongs to a test.
    test: Vec<bool>,
}

impl Source {
    fn new(path: &str, raw: &str) -> Source {
        let code = blank(raw);
        let mut source =
            Source { path: path.into(), raw: raw.into(), test: vec![false; raw.lines().count()], code };
        source.mark_tests();
        source
    }

    fn mark_tests(&mut self) {
        let in_src = self.path.starts_with("src/") || self.path.starts_with("platform/src/");
        if !in_src || self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            self.test.fill(true);
            return;
        }
        let mut from = 0;
        while let Some(at) = self.code[from..].find("#[cfg(test)]") {
            let start = from + at;
            let end = match self.code[start..].find(['{', ';']) {
                Some(p) if self.code.as_bytes()[start + p] == b'{' => closing(&self.code, start + p),
                Some(p) => start + p,
                None => self.code.len(),
            };
            let (first, last) = (line_of(&self.code, start), line_of(&self.code, end));
            self.test[first - 1..last.min(self.raw.lines().count())].fill(true);
            from = end.max(start + 1);
        }
    }

    /// The layer that the file belongs to, when it is part of the appliance: `base`…`monitor`, or `main`.
    fn layer(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        let first = rest.split(['/', '.']).next()?;
        match first {
            "lib" => None,
            "bin" => Some("main"),
            first => Some(first),
        }
    }

    /// Whether the one-based line belongs to a test.
    fn is_test(&self, line: usize) -> bool {
        self.test.get(line - 1).copied().unwrap_or(false)
    }

    fn offence(&self, line: usize, words: String) -> String {
        format!("{}:{line}: {words}", self.path)
    }
}

/// Blanks comments, strings and character literals; keeps every line break, so that line numbers stay true.
fn blank(text: &str) -> String {
    let b = text.as_bytes();
    let mut out = b.to_vec();
    let mut i = 0;
    while i < b.len() {
        let end = literal_end(b, i);
        for o in out.iter_mut().take(end).skip(i) {
            if *o != b'\n' {
                *o = b' ';
            }
        }
        i = end.max(i + 1);
    }
    String::from_utf8(out).expect("only whole literals are blanked, so what is left is whole characters")
}

/// Where the comment or literal that starts at `i` ends; `i` when none starts there.
fn literal_end(b: &[u8], i: usize) -> usize {
    let find = |needle: &[u8], from: usize| {
        b[from.min(b.len())..]
            .windows(needle.len())
            .position(|w| w == needle)
            .map_or(b.len(), |p| from + p + needle.len())
    };
    let after_word = i > 0 && (b[i - 1].is_ascii_alphanumeric() || b[i - 1] == b'_');
    match b[i] {
        b'/' if b[i + 1..].first() == Some(&b'/') => find(b"\n", i) - 1,
        b'/' if b[i + 1..].first() == Some(&b'*') => block_comment_end(b, i),
        b'"' => string_end(b, i),
        b'r' if !after_word || (i > 0 && b[i - 1] == b'b') => {
            let hashes = b[i + 1..].iter().take_while(|&&c| c == b'#').count();
            if b.get(i + 1 + hashes) != Some(&b'"') {
                return i;
            }
            let mut close = vec![b'"'];
            close.resize(1 + hashes, b'#');
            find(&close, i + 2 + hashes)
        }
        b'\'' => char_end(b, i),
        _ => i,
    }
}

fn block_comment_end(b: &[u8], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i < b.len() {
        if b[i..].starts_with(b"/*") {
            (depth, i) = (depth + 1, i + 2);
        } else if b[i..].starts_with(b"*/") {
            (depth, i) = (depth - 1, i + 2);
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    b.len()
}

fn string_end(b: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while i < b.len() {
        match b[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    b.len()
}

/// The end of a character literal; a lifetime is none.
fn char_end(b: &[u8], start: usize) -> usize {
    let Some(&first) = b.get(start + 1) else { return start };
    if first == b'\\' {
        return b[start + 3..].iter().position(|&c| c == b'\'').map_or(b.len(), |p| start + 3 + p + 1);
    }
    let width = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    if b.get(start + 1 + width) == Some(&b'\'') { start + 2 + width } else { start }
}

/// The one-based line of a byte offset.
fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

/// The offset of the brace that closes the one at `open`, in blanked code.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, c) in code[open..].bytes().enumerate() {
        match c {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + i;
        }
    }
    code.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Offsets at which `token` stands as a whole: no word character touches a word character of it.
fn tokens<'a>(code: &'a str, token: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(token).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + token.len()..].chars().next();
        let starts_word = token.starts_with(is_word) && before.is_some_and(is_word);
        let ends_word = token.ends_with(is_word) && after.is_some_and(is_word);
        !starts_word && !ends_word
    })
}

/// The modules named after `crate::` in the code, each with its offset; `crate::{a::b, c}` names two.
fn crate_paths(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for at in tokens(code, "crate") {
        let Some(rest) = code[at..].strip_prefix("crate::") else { continue };
        let start = at + "crate::".len();
        let Some(group) = rest.strip_prefix('{') else {
            found.push((at, rest.split(|c| !is_word(c)).next().unwrap_or("")));
            continue;
        };
        let inner = &group[..closing(code, start).saturating_sub(start + 1).min(group.len())];
        let mut depth = 0;
        let mut from = 0;
        for (i, c) in inner.char_indices().chain([(inner.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    let name = inner[from..i].trim().split(|c| !is_word(c)).next().unwrap_or("");
                    found.push((start + 1 + from, name));
                    from = i + 1;
                }
                _ => {}
            }
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}

/// Imports only go left.
fn layers(s: &Source) -> Vec<String> {
    let Some(layer) = s.layer() else { return Vec::new() };
    let mut found = Vec::new();
    let allowed = LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed else {
        return if layer == "main" { found } else { vec![s.offence(1, format!("`{layer}` is no layer"))] };
    };
    for (at, name) in crate_paths(&s.code) {
        let known = LAYERS.iter().any(|(n, _)| *n == name);
        if known && name != layer && !allowed.contains(&name) {
            let line = line_of(&s.code, at);
            found.push(s.offence(line, format!("`{layer}` may not import `{name}`; it may: {allowed:?}")));
        }
    }
    for at in tokens(&s.code, "super::super::super") {
        found.push(s.offence(
            line_of(&s.code, at),
            "name the module from `crate::`, so that its layer is seen".into(),
        ));
    }
    found
}

/// Some crates belong to some layers.
fn crates(s: &Source) -> Vec<String> {
    let Some(layer) = s.layer() else { return Vec::new() };
    let mut found = Vec::new();
    for (name, allowed) in CRATES.iter().filter(|(_, allowed)| !allowed.contains(&layer)) {
        for at in tokens(&s.code, name) {
            let before = s.code[..at].trim_end();
            let used = s.code[at + name.len()..].starts_with("::") && !before.ends_with("::");
            let imported = before.ends_with(" use") || before.ends_with("\nuse") || before == "use";
            if used || imported {
                found.push(s.offence(
                    line_of(&s.code, at),
                    format!("the crate `{name}` belongs to {allowed:?} only"),
                ));
            }
        }
    }
    found
}

/// `unsafe` stands in platform alone, and says why it is sound.
fn unsafe_code(s: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<&str> = s.raw.lines().collect();
    for at in tokens(&s.code, "unsafe") {
        let line = line_of(&s.code, at);
        if !s.path.starts_with("platform/") {
            found.push(s.offence(line, "`unsafe` belongs to platform".into()));
            continue;
        }
        // The reason stands on the line, or in the comment and attributes right above its statement.
        let ends = |l: &&str| l.trim_end().ends_with([';', '{', '}', ',']);
        let comment = |l: &&str| l.trim().starts_with("//") || l.trim().starts_with("#[");
        let above = lines[..line - 1].iter().rev().copied();
        let above = above.skip_while(|l| !ends(l) && !comment(l)).take_while(comment);
        let said = above.chain([lines[line - 1]]).any(|l| l.contains("SAFETY:") || l.contains("# Safety"));
        // The contract of an `unsafe fn` is its trait's, or clippy asks for it; its body's blocks come here by themselves.
        let contract = ["unsafe extern", "unsafe fn"].iter().any(|w| s.code[at..].starts_with(w));
        if !said && !contract {
            found.push(s.offence(line, "say above it why it is sound: `// SAFETY: …`".into()));
        }
    }
    found
}

/// Words that the code of a layer may not contain.
fn banned(s: &Source) -> Vec<String> {
    let Some(layer) = s.layer() else { return Vec::new() };
    let mut found = Vec::new();
    for (word, _, instead) in BANNED.iter().filter(|(_, allowed, _)| !allowed.contains(&layer)) {
        for at in tokens(&s.code, word) {
            let line = line_of(&s.code, at);
            if !s.is_test(line) {
                found.push(s.offence(line, format!("`{word}` in `{layer}`: {instead}")));
            }
        }
    }
    found
}

/// Nobody sleeps, tests least of all; no test is ignored; a lint is switched off only with a reason.
fn attributes(s: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for at in tokens(&s.code, "thread::sleep") {
        found.push(
            s.offence(line_of(&s.code, at), "`thread::sleep`: wait for the event, with a deadline".into()),
        );
    }
    for at in tokens(&s.code, "#[ignore") {
        found.push(s.offence(line_of(&s.code, at), "an ignored test: make it run, or remove it".into()));
    }
    for attribute in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
        for (at, _) in s.code.match_indices(attribute) {
            let end = s.code[at..].find(']').map_or(s.code.len(), |p| at + p);
            let rest = s.raw[end..].lines().next().unwrap_or("");
            if !s.code[at..end].contains("reason =") && !rest.contains("// ") {
                found.push(s.offence(
                    line_of(&s.code, at),
                    format!("`{attribute}` without a reason: add `reason = \"…\"`"),
                ));
            }
        }
    }
    found
}

/// An arm of a `match` that only names a value (`404 => "Not Found",`): a line of a table, not of a function.
fn is_table_row(line: &str) -> bool {
    let Some((_, value)) = line.split_once("=>") else { return false };
    value.strip_suffix(',').is_some_and(|v| v.chars().all(|c| is_word(c) || c == ':' || c == ' '))
}

/// Functions are short; the rows of a table are not counted.
fn function_length(s: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for at in tokens(&s.code, "fn") {
        let name = s.code[at + 2..].trim_start().split(|c| !is_word(c)).next().unwrap_or("");
        if name.is_empty() {
            continue; // a type `fn(…)`
        }
        let mut depth = 0;
        let body = s.code[at..].char_indices().find(|(_, c)| {
            depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
            depth == 0 && matches!(c, '{' | ';')
        });
        let Some((open, '{')) = body else { continue };
        let text = &s.code[at..s.code.len().min(closing(&s.code, at + open) + 1)];
        let lines = text.lines().filter(|line| !is_table_row(line)).count();
        if lines > FUNCTION_LINES {
            let words = format!("`{name}` has {lines} lines, {FUNCTION_LINES} are allowed: split it");
            found.push(s.offence(line_of(&s.code, at), words));
        }
    }
    found
}

/// Files are short.
fn file_length(s: &Source) -> Vec<String> {
    let lines = s.raw.lines().count();
    if lines <= FILE_LINES {
        return Vec::new();
    }
    vec![s.offence(lines, format!("{lines} lines, {FILE_LINES} are allowed: one concept a file"))]
}

/// Every file says what it is; a module's tests in a file of their own need not.
fn module_doc(s: &Source) -> Vec<String> {
    if s.raw.starts_with("//! ") || (s.path.starts_with("src/") && s.path.ends_with("/tests.rs")) {
        return Vec::new();
    }
    vec![s.offence(
        1,
        "the file does not begin with a module doc (`//! …`): what it is, which clauses, what not".into(),
    )]
}

/// The project speaks of itself alone. For any text file.
fn foreign_words(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        for (a, b) in FOREIGN {
            let word = format!("{a}{b}");
            if line.to_lowercase().contains(&word) {
                found.push(format!("{path}:{}: `{word}`: a word of somebody's machine or tracker", i + 1));
            }
        }
    }
    found
}

/// What lies at the top and does not belong there.
fn top_level<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let belongs = |name: &str| TOP.contains(&name) || name.starts_with('.') || name.starts_with("LICENSE");
    names
        .into_iter()
        .filter(|n| !belongs(n))
        .map(|n| format!("{n}: does not belong at the top of the tree"))
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under the folder, sorted.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.map(|e| e.expect("a readable folder").path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => files(&path, into),
            false => into.push(path),
        }
    }
}

fn tree() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["src", "platform", "tests", "benches", "config", "scripts", ".ci"] {
        files(&root().join(folder), &mut found);
    }
    found.extend(
        ["README.md", "CHANGELOG.md", "Cargo.toml"]
            .map(|f| root().join(f))
            .into_iter()
            .filter(|f| f.exists()),
    );
    found.retain(|f| !f.components().any(|c| c.as_os_str() == "target"));
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("a path below the root").to_string_lossy().replace('\\', "/")
}

/// Runs a rule over every Rust file of the tree.
fn hold(rule: fn(&Source) -> Vec<String>) {
    let rust: Vec<PathBuf> =
        tree().into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs")).collect();
    assert!(rust.len() > 10, "the tree was not found");
    let offences: Vec<String> = rust
        .iter()
        .flat_map(|f| rule(&Source::new(&relative(f), &fs::read_to_string(f).expect("Rust files are UTF-8"))))
        .collect();
    assert!(offences.is_empty(), "{} offence(s):\n{}", offences.len(), offences.join("\n"));
}

#[test]
fn imports_only_go_left() {
    hold(layers);
}

#[test]
fn crates_stay_in_their_layers() {
    hold(crates);
}

#[test]
fn unsafe_stays_in_platform_and_says_why() {
    hold(unsafe_code);
}

#[test]
fn banned_words_do_not_occur() {
    hold(banned);
}

#[test]
fn no_test_sleeps_or_is_ignored_and_lints_are_off_only_with_reason() {
    hold(attributes);
}

#[test]
fn functions_are_short() {
    hold(function_length);
}

#[test]
fn files_are_short() {
    hold(file_length);
}

#[test]
fn every_file_has_a_module_doc() {
    hold(module_doc);
}

#[test]
fn the_tree_speaks_of_itself_alone() {
    let offences: Vec<String> = tree()
        .iter()
        .filter_map(|f| Some((relative(f), fs::read_to_string(f).ok()?)))
        .flat_map(|(path, text)| foreign_words(&path, &text))
        .collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn nothing_else_lies_at_the_top() {
    let names: Vec<String> = fs::read_dir(root())
        .expect("the root is readable")
        .map(|e| e.expect("a readable folder").file_name().to_string_lossy().into_owned())
        .collect();
    let offences = top_level(names.iter().map(String::as_str));
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// Each rule catches its bad sample and lets its good sample pass.
#[cfg(test)]
mod rules {
    use super::*;

    fn check(rule: fn(&Source) -> Vec<String>, path: &str, good: &str, bad: &str) {
        assert_eq!(rule(&Source::new(path, good)), Vec::<String>::new(), "the good sample");
        assert_ne!(rule(&Source::new(path, bad)), Vec::<String>::new(), "the bad sample: {bad}");
    }

    #[test]
    fn layers_catches_an_import_to_the_right_however_it_is_written() {
        let good = "use crate::base::time;\nuse crate::wire::x;\n// crate::ims\nlet a = \"crate::node::x\";";
        for bad in [
            "use crate::proto::flow;",
            "use crate::{base::{time, rng}, ims::core};",
            "let x = crate::config::model::f();",
            "use super::super::super::ims::core;",
        ] {
            check(layers, "src/wire/sip/uri.rs", good, bad);
        }
        check(layers, "src/monitor/line.rs", "use crate::api::COMMANDS;", "use crate::ims::view;");
        assert_eq!(layers(&Source::new("src/strange/mod.rs", "")).len(), 1, "a folder that is no layer");
        assert_eq!(layers(&Source::new("src/main.rs", "use crate::node::run;")).len(), 0);
    }

    #[test]
    fn crates_catches_mio_outside_node() {
        check(crates, "src/ims/core.rs", "let mio = 1; use crate::platform::x;", "use mio::Poll;");
        check(crates, "src/ims/core.rs", "", "fn f(p: mio::Poll) {}");
        check(crates, "src/monitor/mod.rs", "", "fn f() { platform::kill() }");
        assert!(crates(&Source::new("src/node/event_loop.rs", "use mio::Poll;")).is_empty());
    }

    #[test]
    fn unsafe_code_catches_a_block_outside_platform_and_one_without_reason() {
        check(unsafe_code, "src/node/x.rs", "// unsafe { }", "fn f() { unsafe { g() } }");
        let good = "// SAFETY: the buffer outlives the call.\nlet n = unsafe { g() };";
        check(
            unsafe_code,
            "platform/src/x.rs",
            good,
            "// SAFETY: of another.\nf();\nlet n =\n    unsafe { g() };",
        );
        check(
            unsafe_code,
            "platform/src/x.rs",
            "// SAFETY: x.\nlet n =\n    unsafe { g() };",
            "unsafe impl Send for X {}",
        );
    }

    #[test]
    fn banned_catches_each_of_its_words_but_not_in_tests_strings_or_comments() {
        for (word, allowed, _) in BANNED {
            let bad = format!("fn f() {{ x{}{word}; }}", if word.starts_with('.') { "" } else { " " });
            let good =
                format!("// {word}\nfn f() {{ g(\"{word}\"); }}\n#[cfg(test)]\nmod tests {{\n{bad}\n}}\n");
            check(banned, "src/ims/core.rs", &good, &bad);
            for layer in *allowed {
                assert!(
                    banned(&Source::new(&format!("src/{layer}/x.rs"), &bad)).is_empty(),
                    "{word} in {layer}"
                );
            }
        }
        check(
            banned,
            "src/ims/core.rs",
            "fn f() { my_print!(1) }",
            "#[cfg(test)]\nmod tests {}\nfn f() { print!(1) }",
        );
    }

    #[test]
    fn attributes_catches_sleep_ignore_and_a_lint_switched_off_without_reason() {
        let path = "tests/x.rs";
        check(attributes, path, "// #[ignore]", "#[ignore]\nfn f() {}");
        check(attributes, path, "", "#[ignore = \"slow\"]\nfn f() {}");
        check(attributes, path, "#[allow(dead_code, reason = \"filled by a macro\")]", "#[allow(dead_code)]");
        check(attributes, path, "#[allow(dead_code)] // filled by a macro", "#![expect(dead_code)]");
        check(attributes, path, "", "fn f() { std::thread::sleep(d) }");
    }

    #[test]
    fn function_length_counts_from_fn_to_the_closing_brace() {
        let body = |lines: usize| {
            format!("trait T {{ fn g(); }}\nfn f(a: [u8; 2]) {{\n{}}}\n", "    x();\n".repeat(lines))
        };
        check(function_length, "src/x.rs", &body(FUNCTION_LINES - 2), &body(FUNCTION_LINES - 1));
        let table = |row: &str| format!("fn f() {{\nmatch x {{\n{}}}}}", row.repeat(FUNCTION_LINES));
        check(function_length, "src/x.rs", &table("    4 => \"four\",\n"), &table("    4 => four(),\n"));
    }

    #[test]
    fn file_length_counts_lines() {
        check(file_length, "src/x.rs", &"\n".repeat(FILE_LINES), &"\n".repeat(FILE_LINES + 1));
    }

    #[test]
    fn module_doc_wants_the_first_line() {
        check(module_doc, "src/x.rs", "//! What it is.\n", "use std::fmt;\n");
    }

    #[test]
    fn foreign_words_catches_each_of_them() {
        for (a, b) in FOREIGN {
            assert_eq!(foreign_words("x", &format!("see {a}{b}42")).len(), 1);
        }
        assert!(foreign_words("x", "the shared work of a team, an issue").is_empty());
    }

    #[test]
    fn top_level_lets_only_the_listed_names_pass() {
        assert_eq!(top_level(["src", "LICENSE-MIT", ".gitignore"]), Vec::<String>::new());
        assert_eq!(top_level(["doc", "notes.txt"]).len(), 2);
    }

    #[test]
    fn blanking_keeps_lines_and_code_and_removes_the_rest() {
        let text = "let a = \"x // \\\" y\"; // end\nlet b = r#\"raw \" x\"#; /* a /* b */ c */ let c = 'x'; fn f<'a>(s: &'a str) {}\nlet d = '\\''; let é = 'é';";
        let code = blank(text);
        assert_eq!(code.lines().count(), 3);
        assert!(
            ["let a", "let b", "let c", "fn f<'a>(s: &'a str) {}", "let d", "let é"]
                .iter()
                .all(|w| code.contains(w)),
            "{code}"
        );
        assert!(["end", "raw", "x //", "'x'", "b */"].iter().all(|w| !code.contains(w)), "{code}");
    }
}
