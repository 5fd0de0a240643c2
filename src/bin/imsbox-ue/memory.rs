//! The state file: the sequence numbers that the card has taken, kept over the end of the program.
//!
//! One line `IND SEQ` each, SEQ in hex. A file that is not whole is refused: a number that is taken twice would be a hole.

use crate::usim::{INDEXES, Taken};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The first line.
const HEAD: &str = "imsbox-ue sequence numbers 1";

/// Where a card's numbers are kept when nothing else is said: `$XDG_STATE_HOME/imsbox`, by default `~/.local/state/imsbox`.
pub fn default_path(imsi: &str) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join(format!("imsbox/ue-{imsi}.sqn")))
}

/// Reads the numbers; a file that is not there holds none.
pub fn load(path: &Path) -> Result<Taken, String> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text).ok_or_else(|| format!("{}: not a file of sequence numbers", path.display())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Taken::default()),
        Err(e) => Err(format!("{}: {e}", path.display())),
    }
}

/// Writes the numbers, all or nothing.
pub fn store(path: &Path, taken: &Taken) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    fs::write(&aside, text(taken))?;
    fs::rename(&aside, path)
}

fn text(taken: &Taken) -> String {
    let mut out = format!("{HEAD}\n");
    for ind in (0..INDEXES).filter(|&ind| taken.seq(ind) > 0) {
        writeln!(out, "{ind} {:x}", taken.seq(ind)).expect("writing to a String cannot fail");
    }
    out + "end\n"
}

fn parse(text: &str) -> Option<Taken> {
    let mut lines = text.lines();
    let mut taken = Taken::default();
    if lines.next()? != HEAD {
        return None;
    }
    for line in lines.by_ref().take_while(|line| *line != "end") {
        let (ind, seq) = line.split_once(' ')?;
        let ind = ind.parse().ok().filter(|&ind: &usize| ind < INDEXES)?;
        taken.set(ind, u64::from_str_radix(seq, 16).ok()?);
    }
    text.ends_with("end\n").then_some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let mut taken = Taken::default();
        taken.set(3, 0x7ff_ffff_ffff);
        taken.set(31, 1);
        assert_eq!(parse(&text(&taken)), Some(taken));
        assert_eq!(parse(&text(&Taken::default())), Some(Taken::default()));
    }

    #[test]
    fn a_file_that_is_cut_off_or_foreign_is_refused() {
        let mut taken = Taken::default();
        taken.set(0, 12);
        let whole = text(&taken);
        for bad in
            ["", "x\nend\n", &whole[..whole.len() - 2], &whole.replace('0', "32"), &whole.replace('c', "x")]
        {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = std::env::temp_dir().join(format!("imsbox-ue-memory-{}", std::process::id()));
        let path = folder.join("deep/card.sqn");
        assert_eq!(load(&path), Ok(Taken::default()));
        let mut taken = Taken::default();
        for seq in [1, 2] {
            taken.set(seq as usize, seq);
            store(&path, &taken).unwrap();
            assert_eq!(load(&path), Ok(taken.clone()));
        }
        fs::write(&path, "rubbish").unwrap();
        assert!(load(&path).unwrap_err().ends_with("not a file of sequence numbers"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
