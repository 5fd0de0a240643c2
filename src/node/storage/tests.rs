//! The storage on real files: restarts, damage, disks that refuse, files that go.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

fn temp(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("imsbox-state-{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn open(path: &std::path::Path) -> Storage {
    Storage::open(path.to_owned()).unwrap().storage
}

fn records(path: &std::path::Path) -> Vec<(String, String)> {
    Storage::open(path.to_owned()).unwrap().records
}

/// One turn of the loop that changes one record.
fn store(storage: &mut Storage, ticket: u64, key: &str, value: Option<String>) {
    storage.put(ticket, key.to_owned(), value);
    storage.end_turn();
}

fn text(n: usize) -> String {
    format!("{{\"n\":{n}}}")
}

#[test]
fn records_come_back_in_key_order_after_a_restart() {
    let path = temp("restart");
    let Opened { mut storage, records: found, remarks } = Storage::open(path.clone()).unwrap();
    assert!(found.is_empty() && remarks.is_empty());
    let changes =
        [("b/2", Some("two")), ("a/1", Some("one")), ("b/2", Some("TWO")), ("c/3", Some("x")), ("c/3", None)];
    for (ticket, (key, value)) in (1..).zip(changes) {
        store(&mut storage, ticket, key, value.map(str::to_owned));
    }
    storage.close().unwrap();
    let pairs = [("a/1", "one"), ("b/2", "TWO")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(records(&path), pairs);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(path).unwrap();
}

#[test]
fn durable_reaches_the_last_put_and_is_notified() {
    let path = temp("durable");
    let mut storage = open(&path);
    let (told, news) = mpsc::channel();
    storage.set_notify(Box::new(move || told.send(()).unwrap_or(())));
    for n in 0..500 {
        store(&mut storage, n as u64 + 1, &format!("k{n}"), Some(text(n)));
    }
    while storage.durable() < 500 {
        news.recv_timeout(Duration::from_secs(20)).expect("a commit is notified");
    }
    assert_eq!(storage.take_news().count(), 0);
    drop(storage);
    assert_eq!(records(&path).len(), 500);
    fs::remove_file(path).unwrap();
}

#[test]
fn the_start_waits_for_the_disk_and_not_for_ever() {
    use crate::node::hooks::Storage as _;
    let path = temp("wait");
    let mut storage = open(&path);
    assert!(storage.wait(Duration::ZERO), "nothing to wait for");
    store(&mut storage, 1, "k", Some(text(1)));
    assert!(storage.wait(Duration::from_secs(20)));
    assert_eq!(storage.durable(), 1);
    drop(storage);
    let mut stuck = stuck("wait-stuck");
    store(&mut stuck, 1, "k", Some(text(1)));
    assert!(!stuck.wait(Duration::from_millis(1)));
    fs::remove_file(path).unwrap();
}

#[test]
fn the_start_does_not_wait_for_a_disk_that_refuses() {
    use crate::node::hooks::Storage as _;
    let gives_up = |mut storage: Storage| {
        let (told, ended) = mpsc::channel();
        std::thread::spawn(move || told.send(storage.wait(Duration::from_secs(3600))));
        assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Ok(false));
    };
    // it has refused already
    let mut storage = stuck("refused-before");
    storage.shared.lock().on_refused("no space left".to_owned());
    storage.put(1, "a".to_owned(), Some(text(1)));
    gives_up(storage);
    // it refuses what is waited for
    let path = temp("refused-meanwhile").join("state.db");
    let mut storage = Storage::start(path.clone(), StateFile::closed(&path), None).unwrap();
    storage.put(1, "a".to_owned(), Some(text(1)));
    gives_up(storage);
}

#[test]
fn a_file_that_is_no_state_file_is_refused_and_left_alone() {
    let path = temp("foreign");
    fs::write(&path, "not a state file, but somebody's notes\n".repeat(50)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Storage::open(path.clone()).unwrap_err().to_string();
    assert!(error.contains("move it away"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_file_of_another_program_is_refused_and_keeps_its_name_its_permissions_and_what_is_in_it() {
    let path = temp("others");
    let mut binary = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    binary.extend((0..4000u32).flat_map(u32::to_le_bytes));
    for octets in [&binary[..], "a note\n".repeat(90).as_bytes(), b"red herring", &[0, 0, 0, 1]] {
        fs::write(&path, octets).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Storage::open(path.clone()).unwrap_err();
        assert!(matches!(error, StorageError::Damaged(..)), "{error}");
        assert!(fs::read(&path).unwrap() == octets, "it was written to");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }
    fs::remove_file(&path).unwrap();
    // it may keep its things in the same kind of store
    let store = redb::Database::create(&path).unwrap();
    let transaction = store.begin_write().unwrap();
    let theirs: redb::TableDefinition<'_, &str, &str> = redb::TableDefinition::new("theirs");
    transaction.open_table(theirs).unwrap().insert("a", "b").unwrap();
    transaction.commit().unwrap();
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Storage::open(path.clone()).unwrap_err();
    assert!(matches!(error, StorageError::Version(..)), "{error}");
    assert!(error.to_string().contains("use the program that wrote it"), "{error}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(peek(&path).is_err());
    let transaction = redb::Database::open(&path).unwrap().begin_write().unwrap();
    assert_eq!(transaction.list_tables().unwrap().count(), 1, "theirs and nothing of ours");
    fs::remove_file(path).unwrap();
}

#[test]
fn a_damaged_file_is_set_aside_or_read_right_and_never_panics() {
    let path = temp("damaged");
    let mut storage = open(&path);
    for n in 0..40 {
        store(&mut storage, n as u64 + 1, &format!("k{n:02}"), Some(text(n)));
    }
    storage.close().unwrap();
    let whole = fs::read(&path).unwrap();
    let expected = records(&path);
    let mut set_aside = 0;
    let mut try_one = |bad: &[u8], what: &str| {
        fs::write(&path, bad).unwrap();
        let Opened { records: found, remarks, .. } = Storage::open(path.clone()).unwrap();
        let Some(remark) = remarks.first() else { return assert_eq!(found, expected, "{what}") };
        set_aside += 1;
        let aside = PathBuf::from(format!("{}.damaged-{set_aside}", path.display()));
        assert!(found.is_empty() && remark.contains(&aside.display().to_string()), "{what}: {remark}");
        assert!(fs::read(&aside).unwrap() == bad, "{what}: what is set aside was written to");
    };
    // without its first four octets it would not be known as a state file
    for at in (4..whole.len()).step_by(whole.len() / 97) {
        let mut bad = whole.clone();
        bad[at] ^= 0x5a;
        try_one(&bad, &format!("octet {at}"));
    }
    for cut in [1, whole.len() / 3, whole.len() - 1] {
        try_one(&whole[..cut], &format!("cut at {cut}"));
    }
    try_one(&vec![0; whole.len()], "nothing but zeros");
    assert!(set_aside >= 4);
    (1..=set_aside).for_each(|n| fs::remove_file(format!("{}.damaged-{n}", path.display())).unwrap());
    fs::remove_file(path).unwrap();
}

#[test]
fn a_file_of_a_newer_program_is_refused_and_left_alone() {
    use redb::{Database, TableDefinition};
    let path = temp("newer");
    drop(open(&path));
    let store = Database::create(&path).unwrap();
    let transaction = store.begin_write().unwrap();
    let meta: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
    let records: TableDefinition<'_, &str, &str> = TableDefinition::new("records");
    transaction.open_table(meta).unwrap().insert("format", "2").unwrap();
    transaction.open_table(records).unwrap().insert("binding/1", "of another kind").unwrap();
    transaction.commit().unwrap();
    drop(store);
    let before = fs::read(&path).unwrap();
    let error = Storage::open(path.clone()).unwrap_err();
    assert_eq!(error, StorageError::Version(path.clone(), "2".to_owned()));
    assert_eq!(peek(&path).unwrap_err(), error);
    assert!(error.to_string().contains("use the program that wrote it"), "{error}");
    // the store itself may change as well: both of its heads name its version, as the octet after a root
    let mut newer = before;
    [64, 192].into_iter().for_each(|at| newer[at] = 99);
    fs::write(&path, &newer).unwrap();
    assert!(matches!(Storage::open(path.clone()).unwrap_err(), StorageError::Version(..)));
    fs::remove_file(path).unwrap();
}

#[test]
fn the_file_is_its_owners_alone_also_when_it_was_not() {
    let path = temp("mode");
    drop(open(&path));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(&path));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_file_is_read_as_it_is_while_another_writes_to_it() {
    let path = temp("peek");
    let mut storage = open(&path);
    let (told, news) = mpsc::channel();
    storage.set_notify(Box::new(move || told.send(()).unwrap_or(())));
    for n in 1..=40 {
        store(&mut storage, n, "counter", Some(n.to_string()));
        store(&mut storage, n, &format!("k{n:02}"), Some(text(n as usize).repeat(200)));
        while storage.durable() < n {
            news.recv_timeout(Duration::from_secs(20)).expect("a commit is notified");
        }
        let found = peek(&path).unwrap();
        assert_eq!(found[0], ("counter".to_owned(), n.to_string()));
    }
    drop(storage);
    assert_eq!(peek(&path).unwrap(), records(&path));
    fs::remove_file(path).unwrap();
}

#[test]
fn a_start_on_a_disk_that_refuses_gives_what_is_there_and_asks_again_by_itself() {
    let path = temp("begin");
    let mut storage = open(&path);
    store(&mut storage, 1, "a", Some("1".to_owned()));
    storage.close().unwrap();
    // as for a file that cannot be opened
    assert_eq!(file::peek(&path).unwrap(), [("a".to_owned(), "1".to_owned())]);
    let refused = "Read-only file system".to_owned();
    let mut storage = Storage::start(path.clone(), StateFile::closed(&path), Some(refused.clone())).unwrap();
    let mut news = Vec::new();
    while news.len() < 2 {
        news.extend(storage.take_news());
        std::thread::yield_now();
    }
    assert_eq!(news, [Condition::Refuses(refused), Condition::Well]);
    drop(storage);
    assert_eq!(records(&path).len(), 1);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_file_in_use_is_refused() {
    let path = temp("used");
    let storage = open(&path);
    let error = Storage::open(path.clone()).unwrap_err();
    assert!(matches!(error, StorageError::InUse(_)), "{error}");
    drop(storage);
    fs::remove_file(path).unwrap();
}

#[test]
fn what_the_disk_refuses_is_kept_said_and_stored_later() {
    let folder = temp("refused");
    let path = folder.join("state.db");
    let shared = Arc::new(Shared::default());
    let theirs = Arc::clone(&shared);
    // the folder is missing: every attempt fails until it is there
    let file = StateFile::closed(&path);
    let thread = Some(std::thread::spawn(move || run(&theirs, file)));
    let mut storage = Storage { path: path.clone(), turn: Vec::new(), shared, thread };
    let (told, news) = mpsc::channel();
    storage.set_notify(Box::new(move || told.send(()).unwrap_or(())));
    store(&mut storage, 1, "a", Some("old".to_owned()));
    news.recv_timeout(Duration::from_secs(20)).expect("a failure is notified");
    assert!(matches!(storage.take_news().collect::<Vec<_>>()[..], [Condition::Refuses(_)]));
    store(&mut storage, 2, "a", Some("new".to_owned()));
    assert_eq!(storage.durable(), 0);
    fs::create_dir(&folder).unwrap();
    while storage.durable() < 2 {
        news.recv_timeout(Duration::from_secs(20)).expect("the next attempt is notified");
    }
    assert_eq!(storage.take_news().last(), Some(Condition::Well));
    storage.close().unwrap();
    assert_eq!(records(&path), [("a".to_owned(), "new".to_owned())]);
    fs::remove_dir_all(folder).unwrap();
}

/// Waits until the disk is told to refuse: why.
fn refusal(storage: &mut Storage) -> String {
    loop {
        if let Some(Condition::Refuses(why)) = storage.take_news().next() {
            return why;
        }
        std::thread::yield_now();
    }
}

/// Waits until this ticket is on the disk.
fn wait_for(storage: &Storage, ticket: u64) {
    while storage.durable() < ticket {
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_is_taken_away_while_it_is_used_is_missed_and_goes_on_when_it_is_put_back() {
    let path = temp("away");
    let hidden = temp("hidden");
    let mut storage = open(&path);
    store(&mut storage, 1, "a", Some(text(1)));
    wait_for(&storage, 1);
    fs::rename(&path, &hidden).unwrap();
    store(&mut storage, 2, "b", Some(text(2)));
    assert!(refusal(&mut storage).contains("was removed"));
    assert_eq!(storage.durable(), 1, "nothing is promised of a file that nobody will find");
    fs::write(&path, "").unwrap();
    while !refusal(&mut storage).contains("another file is in the place") {}
    fs::rename(&hidden, &path).unwrap();
    wait_for(&storage, 2);
    storage.close().unwrap();
    assert_eq!(records(&path).len(), 2);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_is_gone_when_it_is_opened_again_is_not_made_anew() {
    let path = temp("gone");
    let (mut file, _) = StateFile::open(&path).unwrap();
    let change = Changes::from([("a".to_owned(), Some(text(1)))]);
    file.commit(&change).unwrap();
    drop(file);
    // as after a commit that has failed, on a disk that is not there any more
    let mut closed = StateFile::closed(&path);
    let hidden = temp("unmounted");
    fs::rename(&path, &hidden).unwrap();
    let problem = closed.commit(&change).unwrap_err();
    assert!(problem.contains("was removed") && !path.exists(), "{problem}");
    fs::write(&path, "").unwrap();
    let problem = closed.commit(&change).unwrap_err();
    assert!(problem.contains("another file is in the place"), "{problem}");
    assert!(fs::read(&path).unwrap().is_empty());
    fs::rename(&hidden, &path).unwrap();
    closed.commit(&change).unwrap();
    drop(closed);
    // one that began without a file does not take what comes later for its own
    fs::rename(&path, &hidden).unwrap();
    let mut without = StateFile::closed(&path);
    fs::copy(&hidden, &path).unwrap();
    assert!(without.commit(&change).unwrap_err().contains("another file is in the place"));
    fs::remove_file(&path).unwrap();
    without.commit(&change).unwrap();
    drop(without);
    assert_eq!(records(&path).len(), 1);
    [path, hidden].iter().for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn a_file_that_another_program_has_begun_meanwhile_is_not_emptied() {
    let path = temp("race");
    fs::write(&path, "").unwrap();
    // both have seen an empty file
    let mut late = StateFile::closed(&path);
    let mut first = StateFile::closed(&path);
    let change = Changes::from([("a".to_owned(), Some(text(1)))]);
    first.commit(&change).unwrap();
    assert!(late.commit(&Changes::from([("b".to_owned(), None)])).is_err());
    first.commit(&change).unwrap();
    drop(first);
    assert_eq!(records(&path), [("a".to_owned(), text(1))]);
    fs::remove_file(path).unwrap();
}

#[test]
fn the_folder_of_a_name_without_one_is_that_of_the_program() {
    file::sync_folder(std::path::Path::new("state.db")).unwrap();
    assert!(file::sync_folder(&temp("no-folder").join("state.db")).is_err());
}

#[test]
fn what_cannot_be_stored_at_the_end_is_said() {
    let path = temp("lost").join("state.db");
    let shared = Arc::new(Shared::default());
    let theirs = Arc::clone(&shared);
    let file = StateFile::closed(&path);
    let thread = Some(std::thread::spawn(move || run(&theirs, file)));
    let mut storage = Storage { path, turn: Vec::new(), shared, thread };
    store(&mut storage, 1, "a", Some("1".to_owned()));
    let problem = storage.close().unwrap_err();
    assert!(problem.contains("1 record") && problem.contains("could not be stored"), "{problem}");
}

#[test]
fn what_waits_for_the_disk_is_bounded() {
    let path = temp("bounded");
    let mut storage = open(&path);
    store(&mut storage, 1, "k", Some("x".repeat(PENDING_BYTES)));
    // the disk itself is well, which the thread finds out by itself
    let mut news = Vec::new();
    while news.len() < 2 {
        news.extend(storage.take_news());
        std::thread::yield_now();
    }
    assert_eq!(news, [Condition::Refuses(too_much()), Condition::Well]);
    store(&mut storage, 2, "k", Some(text(1)));
    wait_for(&storage, 2);
    assert_eq!(storage.take_news().count(), 0);
    drop(storage);
    assert_eq!(records(&path), [("k".to_owned(), text(1))]);
    fs::remove_file(path).unwrap();
}

/// One whose thread never comes to it.
fn stuck(name: &str) -> Storage {
    Storage { path: temp(name), turn: Vec::new(), shared: Arc::default(), thread: None }
}

#[test]
fn nothing_of_a_turn_is_committed_before_it_has_ended() {
    use crate::node::hooks::Storage as _;
    let mut storage = stuck("turn");
    let handed_over = |storage: &Storage| {
        let state = storage.shared.lock();
        (state.last, state.changes.keys().cloned().collect::<Vec<_>>().join(" "))
    };
    storage.put(1, "b".to_owned(), Some(text(1)));
    storage.put(2, "a".to_owned(), None);
    assert_eq!(handed_over(&storage), (0, String::new()), "the thread could commit the first alone");
    storage.end_turn();
    assert_eq!(handed_over(&storage), (2, "a b".to_owned()));
    // at the start there is no turn
    storage.put(3, "c".to_owned(), Some(text(3)));
    assert!(!storage.wait(Duration::ZERO));
    assert_eq!(handed_over(&storage), (3, "a b c".to_owned()));
}

#[test]
fn what_a_refused_put_has_with_it_in_its_turn_is_taken() {
    let mut storage = stuck("beside");
    storage.put(1, "a".to_owned(), Some("x".repeat(PENDING_BYTES)));
    storage.put(2, "b".to_owned(), Some(text(2)));
    storage.put(3, "c".to_owned(), Some("x".repeat(PENDING_BYTES)));
    storage.end_turn();
    let state = storage.shared.lock();
    assert_eq!((state.last, state.refused, state.changes.len()), (3, Some(1), 1));
}

#[test]
fn what_is_replaced_gives_its_room_back_and_a_deletion_is_never_refused() {
    let mut storage = stuck("room");
    let most = || Some("x".repeat(PENDING_BYTES - 1));
    for ticket in 1..=3 {
        store(&mut storage, ticket, "k", most());
    }
    store(&mut storage, 4, "another", Some(text(1)));
    assert_eq!(storage.shared.lock().refused, Some(4));
    store(&mut storage, 5, "another", None);
    store(&mut storage, 6, "k", None);
    store(&mut storage, 7, "third", Some(text(1)));
    let mut state = storage.shared.lock();
    assert_eq!((state.changes.len(), state.bytes), (3, total(&state.changes)));
    // what the disk has refused comes back, but for what is newer
    let older = Changes::from([("k".to_owned(), most()), ("fourth".to_owned(), None)]);
    let bytes = total(&older);
    state.keep(older, bytes);
    assert_eq!((state.changes.len(), state.bytes), (4, total(&state.changes)));
    assert_eq!(state.changes["k"], None);
}

/// The octets of changes.
fn total(changes: &Changes) -> usize {
    changes.iter().map(|(key, value)| size(key, value)).sum()
}

#[test]
fn what_the_disk_refused_is_taken_back_the_same_whether_it_is_more_or_less_than_what_is_new() {
    let changes = |name: &str, keys: std::ops::Range<usize>| -> Changes {
        keys.map(|n| (format!("k{n:02}"), (n % 3 > 0).then(|| name.repeat(n)))).collect()
    };
    for (older, newer) in [(0..2, 1..30), (0..30, 28..31), (0..20, 10..30), (0..5, 0..0), (0..0, 0..5)] {
        let (older, newer) = (changes("old", older), changes("newer", newer));
        let expected: Changes = older.clone().into_iter().chain(newer.clone()).collect();
        let mut state = State { bytes: total(&newer), changes: newer, ..State::default() };
        let bytes = total(&older);
        state.keep(older, bytes);
        assert_eq!(state.bytes, total(&expected));
        assert_eq!(state.changes, expected);
    }
}

#[test]
fn what_is_on_the_disk_is_told_before_a_refusal_and_what_follows_a_refused_put_after_it() {
    let mut storage = stuck("order");
    store(&mut storage, 1, "a", Some(text(1)));
    storage.shared.lock().on_committed(1);
    store(&mut storage, 2, "b", Some(text(2)));
    storage.shared.lock().on_refused("no space left".to_owned());
    assert_eq!((storage.progress(), storage.take_news().count()), ((1, 1), 1));
    store(&mut storage, 3, "c", Some("x".repeat(PENDING_BYTES)));
    store(&mut storage, 4, "d", Some(text(4)));
    storage.shared.lock().on_committed(4);
    assert_eq!(storage.progress(), (2, 4), "the third was refused");
    assert_eq!(storage.take_news().count(), 2);
    assert_eq!(storage.progress(), (4, 4));
}
