//! The IMS on a disk that is read-only or full: it serves, says so once, and stores what it has when the disk takes it.

use crate::people::{CLEAR, MILENAGE, USERS};
use crate::scene::Scene;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the log says of a disk that refuses, and of one that is well again.
const REFUSES: &str = "until the disk takes records again texts are refused";
const WELL: &str = "state file: the disk takes records again";

/// A small disk of its own, taken away at the end of the test.
struct Disk(PathBuf);

impl Disk {
    fn new(name: &str) -> Disk {
        let path = std::env::temp_dir().join(format!("imsbox-disk-{name}"));
        let _ = fs::create_dir_all(&path);
        mount(&["-t", "tmpfs", "-o", "size=16m", "none"], &path);
        Disk(path)
    }

    fn remount(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}")], &self.0);
    }

    fn properties(&self) -> String {
        format!("{USERS} ue_db_filename: \"{}\",", self.0.join("state.db").display())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

fn mount(options: &[&str], at: &Path) {
    assert!(Command::new("mount").args(options).arg(at).status().unwrap().success(), "mount {options:?}");
}

/// An IMS that starts on a disk that refuses: a phone registers all the same, and its registration is stored once the disk is well. A text
/// that has to be kept is refused for the time being.
fn serves_and_stores_later(name: &str, disk: &Disk, well: impl FnOnce(&Disk)) {
    let mut scene = Scene::new(name, 1, &disk.properties());
    let options = [MILENAGE, CLEAR].concat();
    let mut phone = scene.phone(0, false, &options, "register; wait sms 300; deregister");
    phone.until("registered as");
    scene.ims.log_with(0, REFUSES);
    // a text to who is not there has to be stored
    let (is_taken, words) = scene.ims.try_monitor(&["sms", "tel:604", "later"]);
    assert!(!is_taken && words.contains("the disk does not take it"), "{words}");
    well(disk);
    let log = scene.ims.log_with(0, WELL);
    assert_eq!((log.matches(REFUSES).count(), log.matches(WELL).count()), (1, 1), "{log}");
    scene.ims.kill();
    scene.ims.run(&scene.network.core);
    let users = scene.ims.monitor(&["users", "603"]);
    assert!(users.contains("UDP"), "the registration is there after the crash:\n{users}");
    let script = "register; sms 603 hello; deregister";
    scene.phone(0, true, &[crate::people::XOR, CLEAR].concat(), script).succeeds();
    phone.succeeds();
    scene.stops_clean();
}

#[test]
fn a_read_only_disk_is_said_once_and_stores_when_it_is_writable() {
    let disk = Disk::new("read-only");
    // what is on it is read
    let mut scene = Scene::new("disk-before", 1, &disk.properties());
    let options = [MILENAGE, CLEAR].concat();
    scene.phone(0, false, &options, "register; deregister").succeeds();
    scene.ims.stop();
    drop(scene);
    disk.remount("ro");
    serves_and_stores_later("disk-ro", &disk, |disk| disk.remount("rw"));
}

#[test]
fn a_full_disk_is_said_once_and_stores_when_there_is_room() {
    let disk = Disk::new("full");
    let filler = disk.0.join("filler");
    assert!(fs::write(&filler, vec![1; 20 << 20]).is_err(), "it is full");
    serves_and_stores_later("disk-full", &disk, |_| fs::remove_file(&filler).unwrap());
}
