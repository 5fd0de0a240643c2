//! The GSM 7 bit default alphabet and its extension table (TS 23.038 6.2.1). National language tables are not built.

/// The septet that says that the next one is of the extension table.
pub const ESCAPE: u8 = 0x1b;

/// The default alphabet (TS 23.038 6.2.1), by septet; [`ESCAPE`] stands for itself.
#[rustfmt::skip]
const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É',
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// The extension table (TS 23.038 6.2.1.1): septet behind the escape, character.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// How a character is written in the alphabet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coded {
    /// A septet of the default alphabet.
    One(u8),
    /// [`ESCAPE`], then this septet.
    Escaped(u8),
}

impl Coded {
    /// Septets that it takes.
    pub const fn septets(self) -> usize {
        match self {
            Coded::One(_) => 1,
            Coded::Escaped(_) => 2,
        }
    }
}

/// How `c` is written; `None` when the alphabet does not have it.
pub fn encode(c: char) -> Option<Coded> {
    let septet = |table: &[char]| table.iter().position(|&d| d == c).map(|at| Coded::One(at as u8));
    // Most characters stand where ASCII has them.
    match DEFAULT.get(c as usize) {
        _ if c == char::from(ESCAPE) => None,
        Some(&same) if same == c => Some(Coded::One(c as u8)),
        _ => septet(&DEFAULT)
            .or_else(|| EXTENSION.iter().find(|(_, d)| *d == c).map(|&(septet, _)| Coded::Escaped(septet))),
    }
}

/// Appends the septets of `text` to `out`; `false`, with `out` as far as it got, when a character is not in the alphabet.
pub fn encode_text(text: &str, out: &mut Vec<u8>) -> bool {
    text.chars().all(|c| match encode(c) {
        Some(Coded::One(septet)) => {
            out.push(septet);
            true
        }
        Some(Coded::Escaped(septet)) => {
            out.extend([ESCAPE, septet]);
            true
        }
        None => false,
    })
}

/// Appends the text of `septets` to `out`. What the extension table does not have is shown as the character of the default
/// alphabet, a second escape as a space (TS 23.038 6.2.1.1); an escape at the end says nothing.
pub fn decode(septets: impl Iterator<Item = u8>, out: &mut String) {
    let mut escaped = false;
    for septet in septets.map(|s| s & 0x7f) {
        match (escaped, septet) {
            (false, ESCAPE) => {
                escaped = true;
                continue;
            }
            (true, ESCAPE) => out.push(' '),
            (true, _) => {
                let extension = EXTENSION.iter().find(|(code, _)| *code == septet);
                out.push(extension.map_or(DEFAULT[usize::from(septet)], |&(_, c)| c));
            }
            (false, _) => out.push(DEFAULT[usize::from(septet)]),
        }
        escaped = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(septets: &[u8]) -> String {
        let mut text = String::new();
        decode(septets.iter().copied(), &mut text);
        text
    }

    #[test]
    fn every_character_of_both_tables_comes_back() {
        let mut seen = 0;
        for c in DEFAULT.iter().chain(EXTENSION.iter().map(|(_, c)| c)).filter(|c| **c != '\u{1b}') {
            let mut septets = Vec::new();
            assert!(encode_text(&c.to_string(), &mut septets), "{c:?}");
            assert_eq!(encode(*c).map(Coded::septets), Some(septets.len()));
            assert_eq!(decoded(&septets), c.to_string());
            seen += 1;
        }
        assert_eq!(seen, 127 + 10);
    }

    #[test]
    fn what_the_alphabet_has_not_is_refused() {
        for c in "`ç\u{1b}\t你😀“ê".chars() {
            assert_eq!(encode(c), None, "{c:?}");
        }
    }

    #[test]
    fn odd_escapes_are_shown() {
        assert_eq!(decoded(&[0x1b, 0x1b, 0x41]), " A");
        assert_eq!(decoded(&[0x1b, 0x41]), "A", "not in the extension table");
        assert_eq!(decoded(&[0x41, 0x1b]), "A", "nothing follows");
    }
}
