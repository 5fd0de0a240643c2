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

    /// Takes note that the records of all tickets up to this one are on the disk. Whether that is news.
    pub(super) fn on_durable(&mut self, ticket: u64) -> bool {
        let is_news = ticket > self.durable;
        self.durable = self.durable.max(ticket);
        is_news
    }

    /// Takes note of the disk's condition. Whether it has changed: a refusal for another reason is none.
    pub(super) fn on_condition(&mut self, condition: Condition) -> bool {
        let refusal = match condition {
            Condition::Refuses(why) => Some(why),
            Condition::Well => None,
        };
        let has_changed = refusal.is_some() != self.refusal.is_some();
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
    fn a_refusal_is_news_once() {
        let mut disk = Disk::default();
        assert!(!disk.on_condition(Condition::Well));
        assert!(disk.on_condition(Condition::Refuses("no space".to_owned())));
        assert!(!disk.on_condition(Condition::Refuses("read-only".to_owned())));
        assert_eq!(disk.refusal(), Some("read-only"));
        assert!(disk.on_condition(Condition::Well));
        assert_eq!(disk.refusal(), None);
    }
}
