//! How text looks in the terminal: colours and lines if there is one, columns, durations, times.

use crate::base::ladder::Strokes;
use jiff::tz::TimeZone;
use std::borrow::Cow;

/// Whether to colour, and the zone of times.
#[derive(Clone, Debug)]
pub struct Look {
    /// Escape sequences are understood.
    pub colours: bool,
    /// Lines and arrows are shown.
    pub unicode: bool,
    /// The zone in which times are shown.
    pub zone: TimeZone,
}

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A heading.
    Bold,
    /// What is in order.
    Good,
    /// What went wrong.
    Bad,
    /// What matters less.
    Dim,
}

impl Look {
    /// The look of a terminal, or of a file; `NO_COLOR` and a dumb terminal are respected.
    pub fn of_terminal(is_terminal: bool) -> Look {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        // POSIX: the first of these that is set decides
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(|name| set(name)).and_then(std::env::var_os);
        let unicode = locale.is_some_and(|l| {
            let name = l.to_string_lossy().to_ascii_lowercase();
            name.contains("utf-8") || name.contains("utf8")
        });
        let is_capable = is_terminal && !dumb;
        Look {
            colours: is_capable && !set("NO_COLOR"),
            unicode: is_capable && unicode,
            zone: TimeZone::system(),
        }
    }

    /// No colours, ASCII, UTC.
    pub fn plain() -> Look {
        Look { colours: false, unicode: false, zone: TimeZone::UTC }
    }

    /// The text in its tone.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colours || text.is_empty() => return text.to_owned(),
            Tone::Bold => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// What charts are drawn with.
    pub fn strokes(&self) -> &'static Strokes {
        if self.unicode { &Strokes::UNICODE } else { &Strokes::ASCII }
    }

    /// Date and time of a Unix time.
    pub fn date(&self, unix_secs: i64) -> String {
        match jiff::Timestamp::from_second(unix_secs) {
            Ok(at) => at.to_zoned(self.zone.clone()).strftime("%F %T").to_string(),
            Err(_) => unix_secs.to_string(),
        }
    }
}

/// The text without control characters: contacts and names come from phones.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// A duration in the two units that tell most: `12 s`, `59 min 12 s`, `2 h 3 min`, `5 d 4 h`.
pub fn duration(secs: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(size, _)| secs >= *size).unwrap_or(units.len() - 1);
    let (size, name) = units[first];
    let mut text = format!("{} {name}", secs / size);
    if let Some((next, name)) = units.get(first + 1)
        && secs % size / next > 0
    {
        text += &format!(" {} {name}", secs % size / next);
    }
    text
}

/// Columns as wide as their widest cell, two spaces apart; `right` tells which are aligned to the right.
pub fn table(look: &Look, header: &[&str], right: &[bool], rows: &[(Option<Tone>, Vec<String>)]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..header.len())
        .map(|i| rows.iter().map(|(_, row)| width(&row[i])).chain([width(header[i])]).max().unwrap_or(0))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for (i, cell) in cells.enumerate() {
            let pad = " ".repeat(widths[i] - width(cell));
            let gap = if i == 0 { "" } else { "  " };
            out += &if right[i] { format!("{gap}{pad}{cell}") } else { format!("{gap}{cell}{pad}") };
        }
        out.trim_end().to_owned()
    };
    let mut out = look.paint(Tone::Bold, &line(&mut header.iter().copied())) + "\n";
    for (tone, row) in rows {
        let text = line(&mut row.iter().map(String::as_str));
        out += &tone.map_or(text.clone(), |tone| look.paint(tone, &text));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        for (secs, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min 59 s"),
            (3600, "1 h"),
            (7380, "2 h 3 min"),
            (3601, "1 h"),
            (446_400, "5 d 4 h"),
        ] {
            assert_eq!(duration(secs), text);
        }
    }

    #[test]
    fn columns_line_up_and_rows_have_a_tone() {
        let rows = [
            (None, vec!["1".to_owned(), "a".to_owned()]),
            (Some(Tone::Dim), vec!["10".to_owned(), "bb".to_owned()]),
        ];
        let text = table(&Look::plain(), &["N", "NAME"], &[true, false], &rows);
        assert_eq!(text, " N  NAME\n 1  a\n10  bb\n");
        let colours = Look { colours: true, ..Look::plain() };
        let text = table(&colours, &["N", "NAME"], &[true, false], &rows);
        assert_eq!(text, "\x1b[1m N  NAME\x1b[0m\n 1  a\n\x1b[2m10  bb\x1b[0m\n");
    }

    #[test]
    fn what_phones_send_cannot_move_the_cursor() {
        assert_eq!(clean("a\x1b[2Jb\u{9b}c"), "a?[2Jb?c");
        assert_eq!(clean("Zoë"), "Zoë");
    }
}
