//! A sequence chart as text: a column for each party, an arrow for each message, notes between.
//!
//! Every row is one line, notes that are too long excepted. It knows nothing of what it shows.

/// A chart.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ladder {
    /// The parties, left to right.
    pub columns: Vec<String>,
    /// What happened, in order.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When, as it is to be shown; all empty: no column for it.
    pub time: String,
    /// What.
    pub step: Step,
}

/// What a row shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A message from a column to another.
    Arrow {
        /// Column.
        from: usize,
        /// Column; another one.
        to: usize,
        /// What stands on the arrow.
        text: String,
    },
    /// Words across all columns.
    Note(String),
}

/// The characters that a chart is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strokes {
    life: char,
    line: char,
    left: char,
    right: char,
    bullet: char,
    cut: &'static str,
}

impl Strokes {
    /// For every terminal and file.
    pub const ASCII: Strokes =
        Strokes { life: '|', line: '-', left: '<', right: '>', bullet: '*', cut: ".." };
    /// For terminals that show Unicode.
    pub const UNICODE: Strokes =
        Strokes { life: '│', line: '─', left: '◀', right: '▶', bullet: '•', cut: "…" };
}

/// Columns that are drawn beside each other; the third and all further ones of a chart with more share one.
const MAX_COLUMNS: usize = 4;
/// Widest distance between two columns.
const MAX_GAP: usize = 34;
/// From the edge to the first column.
const MARGIN: usize = 2;

/// The text without what does not fit into `width` characters, which is marked with `mark`.
pub fn cut(text: &str, width: usize, mark: &str) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(mark.chars().count())).collect::<String>() + mark
}

impl Ladder {
    /// The header, then the text of each row, in lines of `width` characters at most, as far as the columns leave room for a letter.
    pub fn draw(&self, width: usize, strokes: &Strokes) -> Vec<String> {
        let shared = self.columns.len() > MAX_COLUMNS;
        let columns = if shared { 3 } else { self.columns.len().max(2) };
        let time = self.rows.iter().map(|r| r.time.chars().count()).max().unwrap_or(0);
        let left = if time == 0 { 0 } else { time + 2 };
        let room = width.saturating_sub(left);
        let gap = (room.saturating_sub(2 * MARGIN + 1) / (columns - 1)).clamp(8, MAX_GAP);
        let canvas = Canvas { time, left, gap, columns, width, strokes };
        let mut header = canvas.header(&self.names(shared));
        if shared {
            let legend = self.columns[2..].iter().enumerate();
            header = legend.map(|(n, name)| canvas.legend(n + 1, name)).collect::<String>() + &header;
        }
        let mut out = vec![header];
        out.extend(self.rows.iter().map(|row| match &row.step {
            Step::Note(text) => canvas.note(&row.time, text),
            Step::Arrow { from, to, text } if shared => {
                let several = [from, to].into_iter().find(|c| **c >= 2);
                let text = several.map_or_else(|| text.clone(), |c| format!("[{}] {text}", c - 1));
                canvas.arrow(&row.time, (*from).min(2), (*to).min(2), &text)
            }
            Step::Arrow { from, to, text } => canvas.arrow(&row.time, *from, *to, text),
        }));
        out
    }

    fn names(&self, shared: bool) -> Vec<String> {
        match self.columns.get(2..) {
            Some(others) if shared => {
                let mut names = self.columns[..2].to_vec();
                names.push(format!("[1] to [{}]", others.len()));
                names
            }
            _ => self.columns.clone(),
        }
    }
}

/// Where things are in a chart.
struct Canvas<'s> {
    /// Characters of the time.
    time: usize,
    /// Where the columns begin.
    left: usize,
    gap: usize,
    columns: usize,
    width: usize,
    strokes: &'s Strokes,
}

impl Canvas<'_> {
    fn x(&self, column: usize) -> usize {
        self.left + MARGIN + column.min(self.columns - 1) * self.gap
    }

    fn header(&self, names: &[String]) -> String {
        let end = self.x(self.columns - 1) + MARGIN + 1;
        let mut line = vec![' '; end];
        for (at, name) in names.iter().enumerate() {
            let name: Vec<char> = cut(name, self.gap.saturating_sub(3), self.strokes.cut).chars().collect();
            let centred = self.x(at).saturating_sub(name.len() / 2);
            let start = centred.min(end.saturating_sub(name.len())).max(self.left);
            line.splice(start..(start + name.len()).min(end), name);
        }
        finish(line)
    }

    /// A line that tells what a number stands for.
    fn legend(&self, number: usize, name: &str) -> String {
        cut(&format!("[{number}] {name}"), self.width, self.strokes.cut) + "\n"
    }

    /// The time, and the columns' lines.
    fn blank(&self, time: &str) -> Vec<char> {
        let mut line: Vec<char> = format!("{time:>0$}", self.time).chars().collect();
        line.resize(self.x(self.columns - 1) + 1, ' ');
        (0..self.columns).for_each(|c| line[self.x(c)] = self.strokes.life);
        line
    }

    fn arrow(&self, time: &str, from: usize, to: usize, text: &str) -> String {
        let mut line = self.blank(time);
        let (a, b) = (self.x(from.min(to)) + 1, self.x(from.max(to)));
        if b <= a {
            return finish(line) + " " + text;
        }
        line[a..b].fill(self.strokes.line);
        if from < to {
            line[b - 1] = self.strokes.right;
        } else {
            line[a] = self.strokes.left;
        }
        let room = (b - a).saturating_sub(5);
        let label: Vec<char> = format!(" {} ", cut(text, room, self.strokes.cut)).chars().collect();
        let start = a + (b - a - label.len().min(b - a)) / 2;
        line.splice(start..start + label.len(), label);
        finish(line)
    }

    /// Words, broken into lines behind their bullet.
    fn note(&self, time: &str, text: &str) -> String {
        let lead = if self.left == 0 { String::new() } else { format!("{time:>0$}  ", self.time) };
        let mut lines = vec![format!("{lead}{} ", self.strokes.bullet)];
        let indent = self.left + 2;
        for word in text.split_whitespace() {
            let last = lines.last_mut().expect("it starts with one");
            let used = last.chars().count();
            match used > indent && used + 1 + word.chars().count() > self.width {
                true => lines.push(" ".repeat(indent) + word),
                false if used > indent => *last += &format!(" {word}"),
                false => *last += word,
            }
        }
        lines.join("\n")
    }
}

fn finish(line: Vec<char>) -> String {
    line.into_iter().collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(columns: &[&str], rows: &[(&str, usize, usize, &str)]) -> Ladder {
        let row = |&(time, from, to, text): &(&str, usize, usize, &str)| {
            let text = text.to_owned();
            let step = if from == to { Step::Note(text) } else { Step::Arrow { from, to, text } };
            Row { time: time.to_owned(), step }
        };
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        Ladder { columns, rows: rows.iter().map(row).collect() }
    }

    fn drawn(ladder: &Ladder, width: usize, strokes: &Strokes) -> String {
        let lines = ladder.draw(width, strokes);
        assert!(lines.iter().flat_map(|l| l.lines()).all(|l| l.chars().count() <= width), "{lines:#?}");
        "\n".to_owned() + &lines.join("\n")
    }

    #[test]
    fn arrows_run_between_their_columns_and_notes_stand_between() {
        let l = ladder(
            &["alice", "us", "+33600000002@a.very.long.domain.example.org"],
            &[
                ("0.000", 0, 1, "INVITE (sdp)"),
                ("0.001", 1, 2, "INVITE (sdp)"),
                ("10.412", 2, 1, "180 INVITE"),
                ("10.412", 0, 0, "ringing"),
                ("12.000", 1, 2, "a label that is much longer than its arrow"),
            ],
        );
        assert_eq!(
            drawn(&l, 60, &Strokes::ASCII),
            "
        alice                   us     +33600000002@a.ver..
 0.000    |---- INVITE (sdp) --->|                      |
 0.001    |                      |---- INVITE (sdp) --->|
10.412    |                      |<---- 180 INVITE -----|
10.412  * ringing
12.000    |                      |- a label that is.. ->|"
        );
        assert_eq!(
            drawn(&l, 60, &Strokes::UNICODE).lines().last(),
            Some("12.000    │                      │─ a label that is … ─▶│")
        );
    }

    #[test]
    fn without_times_there_is_no_column_for_them_and_long_notes_are_broken() {
        let l = ladder(&["a", "b"], &[("", 0, 1, "x"), ("", 0, 0, "words that need more room than a line")]);
        let want = "
  a             b
  |----- x ---->|
* words that need
  more room than a
  line";
        let got = drawn(&l, 19, &Strokes::ASCII);
        assert_eq!(got, want, "{got}");
    }

    #[test]
    fn an_arrow_passes_the_columns_between_and_many_columns_share_one() {
        let l = ladder(&["a", "us", "b", "c"], &[("", 1, 3, "x"), ("", 3, 1, "y")]);
        let want = "
  a                us                 b                 c
  |                 |---------------- x --------------->|
  |                 |<--------------- y ----------------|";
        let got = drawn(&l, 60, &Strokes::ASCII);
        assert_eq!(got, want, "{got}");
        let l = ladder(&["a", "us", "b", "c", "d"], &[("", 0, 1, "w"), ("", 1, 4, "x"), ("", 2, 1, "y")]);
        let got = drawn(&l, 60, &Strokes::ASCII);
        let want = "
[1] b
[2] c
[3] d
  a                         us                   [1] to [3]
  |----------- w ----------->|                          |
  |                          |--------- [3] x --------->|
  |                          |<-------- [1] y ----------|";
        assert_eq!(got, want, "{got}");
    }

    #[test]
    fn no_width_and_no_columns_break_anything() {
        for width in [0, 1, 7, 200] {
            for columns in 0..7 {
                let names: Vec<&str> = (0..columns).map(|_| "somebody").collect();
                let l = ladder(&names, &[("1", 0, 1, "INVITE"), ("2", 5, 1, "200"), ("3", 0, 0, "over")]);
                assert_eq!(l.draw(width, &Strokes::ASCII).len(), 4);
            }
        }
    }
}
