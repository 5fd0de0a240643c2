//! `sms_flush`: the operator forgets what waits for a user.

use super::order::recipient;
use super::{Recipient, Sms};
use crate::base::trace::{Level, Subject};
use crate::ims::core::View;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::wire::gsm::tpdu::Status;

impl Sms {
    /// Forgets the texts that wait for a user; those under way may still arrive. Their senders get the status report that they asked
    /// for. Gives how many there were; the error says in words that there is no such user.
    pub fn flush(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, to: &Recipient) -> Result<usize, String> {
        let (user, _) = recipient(view.subs, to)?;
        Ok(self.forget_all(view, cx, user))
    }

    fn forget_all(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) -> usize {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return 0 };
        if let Some(attempt) = inbox.attempt.take() {
            attempt.clients().for_each(|client| view.txs.abandon(client));
        }
        let numbers: Vec<u64> = inbox.texts.iter().map(|text| text.number).collect();
        for number in &numbers {
            self.drop_text(
                view,
                cx,
                (user, *number),
                Status::DELETED_BY_ADMINISTRATION,
                "flushed by the operator",
            );
        }
        let impi = &view.subs.user(user).impi;
        cx.ims(Level::Info, Subject::None, format_args!("SMS for {impi}: {} flushed", numbers.len()));
        self.tidy(cx.now, user);
        numbers.len()
    }
}
