//! What the core knows of the disk that its state file is on: how far that is written, and whether it takes more.
//!
//! A record is given a ticket when it goes out ([`crate::proto::outbox::Outbox::persist`]). Who promises something on the strength of
//! a record keeps the ticket and the promise, and makes it when the ticket is durable. While the disk refuses, nothing is promised: who waits
//! answers with a temporary error and deletes the record, which may still reach the disk when that takes records again.

/// The state of the disk.
#[derive(Debug, Default)]
pub struct Disk {
    durable: u64,
    refusal: Option<String>,
    /// Tickets behind the first and up to the second were on their way when the disk refused something.
    doubtful: Option<(u64, u64)>,
}

/// What the storage says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does not take records now, why in words: the disk is full or read-only, or too much waits for it.
    Refuses(String),
    /// It takes records again, and has taken those that waited.
    Well,
}

impl Disk {
    /// Whether the record of this ticket, and every one before, is on the disk. Without a state file all are at once: then nothing is
    /// promised to outlive the program.
    pub fn is_durable(&self, ticket: u64) -> bool {
        ticket <= self.durable
    }

    /// Why the disk takes no records now, in words; none when it does.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Whether the record of this ticket is on the disk for certain: not one that may have been refused for good before it got there, for
    /// want of room among those that wait. Of others that is not known, and who needs to know stores them again.
    pub fn has_for_certain(&self, ticket: u64) -> bool {
        let is_doubtful = self.doubtful.is_some_and(|(behind, last)| behind < ticket && ticket <= last);
        self.is_durable(ticket) && !is_doubtful
    }

    /// Takes note that the records of all tickets up to this one are on the disk. Whether that is news.
    pub(super) fn on_durable(&mut self, ticket: u64) -> bool {
        let is_news = ticket > self.durable;
        self.durable = self.durable.max(ticket);
        is_news
    }

    /// Takes note of the disk's condition, now that `last` is the last ticket. Whether it has changed: a refusal for another reason is
    /// none.
    pub(super) fn on_condition(&mut self, condition: Condition, last: u64) -> bool {
        let refusal = match condition {
            Condition::Refuses(why) => Some(why),
            Condition::Well => None,
        };
        let has_changed = refusal.is_some() != self.refusal.is_some();
        if refusal.is_some() {
            self.doubtful = Some((self.doubtful.map_or(self.durable, |(behind, _)| behind), last));
        }
        self.refusal = refusal;
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_durable_stays_durable() {
        let mut disk = Disk::default();
        assert!(!disk.is_durable(1));
        assert!(disk.on_durable(3) && disk.is_durable(3) && !disk.is_durable(4));
        assert!(!disk.on_durable(2) && disk.is_durable(3));
    }

    #[test]
    fn what_was_on_its_way_when_the_disk_refused_is_doubtful() {
        let mut disk = Disk::default();
        disk.on_durable(3);
        disk.on_condition(Condition::Refuses("too much waits".to_owned()), 5);
        assert!(disk.has_for_certain(3) && !disk.has_for_certain(4));
        disk.on_condition(Condition::Well, 7);
        disk.on_durable(7);
        let certain: Vec<u64> = (1..9).filter(|ticket| disk.has_for_certain(*ticket)).collect();
        assert_eq!(certain, [1, 2, 3, 6, 7]);
        disk.on_condition(Condition::Refuses("no space".to_owned()), 9);
        disk.on_durable(10);
        let certain: Vec<u64> = (1..12).filter(|ticket| disk.has_for_certain(*ticket)).collect();
        assert_eq!(certain, [1, 2, 3, 10], "what is in doubt stays so");
    }

    #[test]
    fn a_refusal_is_news_once() {
        let mut disk = Disk::default();
        assert!(!disk.on_condition(Condition::Well, 0));
        assert!(disk.on_condition(Condition::Refuses("no space".to_owned()), 0));
        assert!(!disk.on_condition(Condition::Refuses("read-only".to_owned()), 0));
        assert_eq!(disk.refusal(), Some("read-only"));
        assert!(disk.on_condition(Condition::Well, 0));
        assert_eq!(disk.refusal(), None);
    }
}
