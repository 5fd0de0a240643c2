//! Files that commands name, read from the disk.

use crate::config::Files;
use crate::config::limits::MAX_SDP_FILE;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

/// The disk. Only plain files are read, and no more of them than is asked about: the loop waits meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let words = |e: std::io::Error| e.to_string();
        // opening a pipe would wait for its other end
        if !fs::metadata(path).map_err(words)?.is_file() {
            return Err("it is no plain file".to_owned());
        }
        let mut octets = Vec::new();
        let file = File::open(path).map_err(words)?;
        file.take(MAX_SDP_FILE as u64 + 1).read_to_end(&mut octets).map_err(words)?;
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_files_are_read_up_to_the_limit_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("imsbox-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("long");
        fs::write(&path, vec![b'x'; MAX_SDP_FILE + 100]).unwrap();
        assert_eq!(Disk.read(&path).map(|octets| octets.len()), Ok(MAX_SDP_FILE + 1));
        assert_eq!(Disk.read(&folder), Err("it is no plain file".to_owned()));
        assert!(Disk.read(&folder.join("none")).unwrap_err().contains("No such file"));
        fs::remove_dir_all(folder).unwrap();
    }
}
