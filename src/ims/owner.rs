//! Whose a transaction is: the name that the service gives the transaction layer to hand back with every answer.

use crate::ims::call::Part;
use crate::ims::message;
use crate::ims::reg_event;
use crate::ims::sms;

/// The part of the service that started a client transaction, or answers a server transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody waits for it: a response is taken note of and no more.
    None,
    /// A call; what in it is the call's own matter.
    Call(Part),
    /// A text, which it takes to one contact.
    Message(message::Part),
    /// A short message, which it takes to one contact.
    Sms(sms::Part),
    /// A subscription, to which it takes a NOTIFY.
    Subscription(reg_event::Part),
}
