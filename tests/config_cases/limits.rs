//! What is bounded is refused with its name, and quickly.

use crate::{load_text, said};
use imsbox::config::limits::*;
use imsbox::config::{Files, MemoryFiles, load};
use std::fmt::Write;
use std::path::Path;

#[track_caller]
fn refused(text: &str, why: &str) {
    let loaded = load_text(text);
    assert!(loaded.config.is_none());
    assert!(said(&loaded).contains(why), "{}", said(&loaded));
}

fn load_files(files: &dyn Files) -> String {
    let loaded = load(Path::new("ims.cfg"), files);
    assert!(loaded.config.is_none());
    said(&loaded)
}

#[test]
fn nesting() {
    let why = format!("nested more than {MAX_NESTING} levels deep");
    for (open, close) in [("[", "]"), ("(", ")"), ("{a:", "}"), ("-", ""), ("!", ""), ("`${", "}`")] {
        refused(&format!("x: {}1{}", open.repeat(20_000), close.repeat(20_000)), &why);
        let allowed = MAX_NESTING - 1;
        let text = format!("x: {}1{}", open.repeat(allowed), close.repeat(allowed));
        assert!(!said(&load_text(&text)).contains(&why), "{open}");
    }
    refused(&"#if 1\n".repeat(20_000), &format!("more than {MAX_NESTING} conditions in each other"));
}

#[test]
fn nesting_through_variables() {
    let mut text = String::from("#define A [1]\n");
    for _ in 0..MAX_NESTING {
        text.push_str("#define A [A]\n");
    }
    refused(&text, &format!("`A` makes this nested more than {MAX_NESTING} levels deep"));
}

#[test]
fn a_macro_bomb() {
    let mut text = String::from("#define A [1, 1]\n");
    for _ in 0..60 {
        text.push_str("#define A [A, A]\n");
    }
    refused(&text, "takes more than 256 MiB after its variables are replaced");
    let mut text = String::from("#define A \"0123456789\"\n");
    for _ in 0..60 {
        text.push_str("#define A A + A\n");
    }
    refused(&text, "takes more than 256 MiB after its variables are replaced");
    let mut text = String::from("#define A `0123456789`\n");
    for _ in 0..60 {
        text.push_str("#define A `${A}${A}`\n");
    }
    refused(&text, "takes more than 256 MiB after its variables are replaced");
}

#[test]
fn a_macro_bomb_in_an_included_file_is_reported_once() {
    let mut bomb = String::from("#define A [1, 1]\n");
    for _ in 0..60 {
        bomb.push_str("#define A [A, A]\n");
    }
    let files = MemoryFiles::default()
        .with("ims.cfg", "include \"a.cfg\", include \"b.cfg\"")
        .with("a.cfg", "include \"b.cfg\"")
        .with("b.cfg", bomb);
    let text = load_files(&files);
    assert_eq!(text.matches("takes more than").count(), 1, "{text}");
}

#[test]
fn include_cycles_are_shown_as_a_chain() {
    let files = MemoryFiles::default()
        .with("ims.cfg", "include \"a.cfg\"")
        .with("a.cfg", "#include \"sub/b.cfg\"")
        .with("sub/b.cfg", "x: { include \"../a.cfg\" }");
    let text = load_files(&files);
    assert!(text.contains("a.cfg includes itself: a.cfg -> sub/b.cfg -> a.cfg"), "{text}");
    let text = load_files(&MemoryFiles::default().with("ims.cfg", "include \"ims.cfg\", x: 1"));
    assert!(text.contains("ims.cfg includes itself: ims.cfg -> ims.cfg"), "{text}");
}

#[test]
fn include_depth() {
    let mut files = MemoryFiles::default().with("ims.cfg", "include \"0.cfg\"");
    for number in 0..40 {
        files = files.with(format!("{number}.cfg"), format!("include \"{}.cfg\"", number + 1));
    }
    let text = load_files(&files);
    assert!(text.contains(&format!("more than {MAX_INCLUDE_DEPTH} files include each other")), "{text}");
}

#[test]
fn number_and_size_of_files() {
    struct Endless(usize);
    impl Files for Endless {
        fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
            let main = || "include \"a.cfg\",".repeat(100_000).into_bytes();
            Ok(if path == Path::new("ims.cfg") { main() } else { vec![b' '; self.0] })
        }
    }
    assert!(load_files(&Endless(0)).contains(&format!("more than {MAX_FILES} files are included")));
    assert!(load_files(&Endless(MAX_FILE_SIZE + 1)).contains("a.cfg is larger than 16 MiB"));
    assert!(load_files(&Endless(MAX_FILE_SIZE)).contains("all files together are larger than 64 MiB"));
}

#[test]
fn many_mistakes_are_counted() {
    let mut text = String::new();
    for number in 0..100_000 {
        let _ = writeln!(text, "a{number}: undefined{number},");
    }
    let loaded = load_text(&text);
    assert_eq!(loaded.diagnostics.len(), MAX_DIAGNOSTICS + 1);
    assert!(said(&loaded).ends_with(" more messages are not shown\n"));
}

#[test]
fn users_are_counted() {
    let user = "{ impi: \"u1000000@x.org\", domain: \"x.org\", pwd: \"p\", count: 60000 },";
    refused(&format!("sip_addr: \"127.0.0.1\", ue_db: [{user}{user}]"), "more than 100000 users");
}
