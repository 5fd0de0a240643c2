//! SMS-COMMAND (TS 23.040 9.2.2.4): a phone asks about a text that it has submitted, or wants it deleted.

use super::answer::Refusal;
use super::promise::Sender;
use super::submit::{Author, queue_of};
use super::text::{Submitted, Text};
use super::{Sms, record};
use crate::ims::core::View;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::wire::gsm::Timestamp;
use crate::wire::gsm::tpdu::command::CommandType;
use crate::wire::gsm::tpdu::{Command, Status};

impl Sms {
    /// An SMS-COMMAND.
    pub(super) fn on_command(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        author: Author<'_>,
        sender: Sender,
        command: &Command<'_>,
    ) {
        // nothing is done that could not be said to be done
        if view.disk.refusal().is_some() {
            return self.refuse(view, cx, sender, Refusal::DISK);
        }
        if !self.has_promise() {
            return self.refuse(view, cx, sender, Refusal::NO_ROOM);
        }
        let found = self.find_submitted(view, author, command);
        let at = found.as_ref().map_or(cx.wall, |(text, _)| text.at);
        let status = match (command.command, found) {
            (CommandType::ENQUIRY, Some(_)) => Status::TRYING_NO_RESPONSE,
            (CommandType::ENQUIRY, None) => Status::DOES_NOT_EXIST,
            (CommandType::DELETE, Some((text, false))) => {
                let (user, number) = (text.to, text.number);
                self.drop_text(view, cx, (user, number), Status::DELETED_BY_SENDER, "deleted by its sender");
                self.next(view, cx, user);
                Status::DELETED_BY_SENDER
            }
            (CommandType::CANCEL_STATUS_REPORT, Some((text, _))) => {
                self.want_report(view, cx, (text.to, text.number), false);
                Status::TRYING_NO_RESPONSE
            }
            (CommandType::ENABLE_STATUS_REPORT, Some((text, _))) => {
                self.want_report(view, cx, (text.to, text.number), true);
                Status::TRYING_NO_RESPONSE
            }
            (
                CommandType::DELETE | CommandType::CANCEL_STATUS_REPORT | CommandType::ENABLE_STATUS_REPORT,
                _,
            ) => {
                return self.refuse(view, cx, sender, Refusal::COMMAND);
            }
            _ => return self.refuse(view, cx, sender, Refusal::COMMAND_TYPE),
        };
        // TS 23.040 9.2.3.19: an enquiry is answered by a status report; other commands where they ask for one
        if command.status_report || command.command == CommandType::ENQUIRY {
            let asked = Submitted {
                by: author.user,
                impu: author.impu,
                phone: Some(author.phone.clone()),
                reference: command.reference,
                destination: command.destination,
                wants_report: true,
            };
            self.send_report(view, cx, &asked, (command.reference, true), Timestamp::of_unix(at, 0), status);
        }
        self.accept_when_stored(view, cx, sender);
    }

    /// The text that a command is about, and whether it is on its way.
    fn find_submitted(
        &self,
        view: &View<'_>,
        author: Author<'_>,
        command: &Command<'_>,
    ) -> Option<(Text, bool)> {
        let to = queue_of(view.subs, author.user, &command.destination)?;
        let inbox = self.inboxes.get(&to)?;
        let from = author.origin(view.subs);
        let is_meant = |text: &&Text| {
            let same = |s: &Submitted| s.is(from, command.message_number, command.destination);
            text.submitted.as_deref().is_some_and(same)
        };
        let text = inbox.texts.iter().rev().find(is_meant)?;
        Some((text.clone(), inbox.is_under_way(text.number)))
    }

    /// The sender of a text wants a status report on it, or does not any more.
    fn want_report(&mut self, view: &View<'_>, cx: &mut Cx<'_>, (user, number): (UserId, u64), wants: bool) {
        let Some(text) = self.inboxes.get_mut(&user).and_then(|inbox| inbox.text_mut(number)) else { return };
        if let Some(submitted) = &mut text.submitted {
            submitted.wants_report = wants;
        }
        let value = record::write(cx, view.subs, text);
        cx.out.persist(record::key(number), Some(value));
    }
}
