//! Configuration files from the disk.

use imsbox::config::{Files, limits};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The files of the machine.
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        if file.metadata().is_ok_and(|m| m.is_dir()) {
            return Err("it is a folder".to_owned());
        }
        let mut octets = Vec::new();
        // one more than is allowed tells the reader that the file is too long
        let most = limits::MAX_FILE_SIZE as u64 + 1;
        file.take(most).read_to_end(&mut octets).map_err(|e| e.to_string())?;
        Ok(octets)
    }
}
