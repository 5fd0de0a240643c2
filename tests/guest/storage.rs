//! The IMS on a disk that is read-only or full: it serves, says so once, and stores what it has when the disk takes it.

use crate::network::until;
use crate::people::{CLEAR, MILENAGE, TUAK, USERS, XOR};
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
        assert!(try_mount(&["-t", "tmpfs", "-o", "size=16m", "none"], &path), "a disk");
        Disk(path)
    }

    fn remount(&self, options: &str) {
        assert!(self.try_remount(options), "remount {options}");
    }

    fn try_remount(&self, options: &str) -> bool {
        try_mount(&["-o", &format!("remount,{options}")], &self.0)
    }

    /// A file that takes all room.
    fn filler(&self) -> PathBuf {
        self.0.join("filler")
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

fn try_mount(options: &[&str], at: &Path) -> bool {
    Command::new("mount").args(options).arg(at).status().unwrap().success()
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
    scene.phone(0, true, &[XOR, CLEAR].concat(), script).succeeds();
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
    fill(&disk);
    serves_and_stores_later("disk-full", &disk, |disk| fs::remove_file(disk.filler()).unwrap());
}

/// The most texts that are sent until a disk refuses: a file has room of its own, which is used up first.
const MOST_TEXTS: usize = 400;

/// An IMS on a disk that becomes full while texts are stored, and is well again: all that time a text is taken or refused, imsbox says how it is,
/// and after a crash the texts that were taken come, in order, and no other.
fn refuses_while_it_is_so(name: &str, disk: &Disk, meanwhile: impl FnOnce(&Disk), well: impl FnOnce(&Disk)) {
    let mut scene = Scene::new(name, 2, &disk.properties());
    let mut taken = Vec::new();
    let mut send = |scene: &Scene, word: &str| {
        // some octets more fill a file sooner
        let text = format!("{word} {}", "x".repeat(600));
        let (is_taken, words) = scene.ims.try_monitor(&["sms", "tel:604", &text]);
        if is_taken {
            taken.push(text);
        } else {
            assert!(words.contains("the disk does not take it"), "{words}");
        }
        is_taken
    };
    assert!(send(&scene, "before"), "the disk is well");
    fill(disk);
    let refused = (0..MOST_TEXTS).find(|n| !send(&scene, &format!("on the way {n}")));
    assert!(refused.is_some(), "a disk that takes nothing takes {MOST_TEXTS} texts");
    scene.ims.log_with(0, REFUSES);
    // RP-ERROR 41 for a phone (TS 24.011 8.2.5.4)
    let options = [XOR, CLEAR].concat();
    let said = scene.phone(0, false, &options, "register; sms 604 \"from a phone\"").fails();
    assert!(said.contains("temporary failure"), "{said}");
    meanwhile(disk);
    assert!(!send(&scene, "still"), "the disk is not well yet");
    assert_eq!(scene.ims.log().matches(WELL).count(), 0);
    well(disk);
    scene.ims.log_with(0, WELL);
    assert!(send(&scene, "after"), "the disk is well again");
    let log = scene.ims.log();
    assert_eq!((log.matches(REFUSES).count(), log.matches(WELL).count()), (1, 1), "{log}");
    scene.ims.kill();
    scene.ims.run(&scene.network.core);
    let arrives: String = taken.iter().map(|text| format!("wait sms 60; expect sms \"{text}\"; ")).collect();
    let script = format!("register; {arrives}expect sms-received = {}; deregister", taken.len());
    scene.phone(1, false, &[TUAK, CLEAR].concat(), &script).succeeds();
    scene.stops_clean();
}

/// Fills a disk.
fn fill(disk: &Disk) {
    assert!(fs::write(disk.filler(), vec![1; 20 << 20]).is_err(), "it is full");
}

#[test]
fn a_disk_that_becomes_full_refuses_texts_until_there_is_room_and_loses_none_that_was_taken() {
    let disk = Disk::new("fills");
    refuses_while_it_is_so("disk-fills", &disk, |_| {}, |disk| fs::remove_file(disk.filler()).unwrap());
}

#[test]
fn a_full_disk_that_is_made_read_only_refuses_texts_until_it_is_writable_and_loses_none_that_was_taken() {
    let disk = Disk::new("locked");
    // a kernel makes no disk read-only that has a file open for writing: imsbox has its own so, until the disk has refused
    let meanwhile = |disk: &Disk| until("the disk is made read-only", || disk.try_remount("ro"));
    refuses_while_it_is_so("disk-locked", &disk, meanwhile, |disk| {
        disk.remount("rw");
        fs::remove_file(disk.filler()).unwrap();
    });
}
