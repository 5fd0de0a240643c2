//! The session descriptions of a leg on their way from one side to the other: what each side said and was told last, and what
//! is changed in between.
//!
//! Without a reason every octet passes. Reasons are the configuration (`rules`), and whatever else [`Passage::edit`] knows of.

use super::media::description;
use super::rules::Rules;
use super::tag::Side;
use crate::wire::sdp::Sdp;
use crate::wire::sdp::edit::Edit;
use crate::wire::sip::Message;
use std::sync::Arc;

/// The descriptions of one leg.
#[derive(Clone, Debug, Default)]
pub(super) struct Passage {
    /// What each side said last, as it came.
    said: [Option<Arc<[u8]>>; 2],
    /// What each side was told last.
    told: [Option<Arc<[u8]>>; 2],
    /// The caller has got the answer to its offer in a reliable response.
    has_answered: bool,
}

impl Passage {
    /// Takes the description of a message that a side has sent to the other side. Gives the body as it passes; `None`: as it
    /// came. `begins` says that it is the offer which begins a call.
    pub(super) fn carry(
        &mut self,
        rules: &Rules,
        from: Side,
        msg: &Message<'_>,
        begins: bool,
    ) -> Option<Vec<u8>> {
        let came = description(msg)?;
        let sdp = Sdp::parse(came).ok()?;
        let edit = self.edit(rules, from, &sdp, begins);
        let said = Arc::from(came);
        self.said[from as usize] = Some(Arc::clone(&said));
        if edit.is_nothing() {
            self.told[from.other() as usize] = Some(said);
            return None;
        }
        let passed = edit.apply(&sdp);
        let body = in_place_of(msg.body(), came, &passed);
        self.told[from.other() as usize] = Some(passed.into());
        Some(body)
    }

    /// The caller has been told the last description in a reliable response.
    pub(super) fn on_reliable(&mut self) {
        self.has_answered = self.told[Side::Caller as usize].is_some();
    }

    /// What a 2xx without a description must say all the same: the callee's phone has said it reliably, and the caller has
    /// heard it without reliability, or not at all (RFC 3261 13.2.1).
    pub(super) fn missing_answer(&self, msg: &Message<'_>) -> Option<Vec<u8>> {
        let told = self.told[Side::Caller as usize].as_deref().filter(|_| !self.has_answered)?;
        description(msg).is_none().then(|| told.to_vec())
    }

    /// What is changed in a description on its way from a side to the other.
    fn edit(&self, rules: &Rules, _from: Side, sdp: &Sdp<'_>, begins: bool) -> Edit {
        rules.edit(sdp, begins)
    }

    #[cfg(test)]
    /// What a side said last, as it came.
    pub(super) fn said(&self, side: Side) -> Option<Sdp<'_>> {
        Sdp::parse(self.said[side as usize].as_deref()?).ok()
    }

    #[cfg(test)]
    /// What a side was told last.
    pub(super) fn told(&self, side: Side) -> Option<Sdp<'_>> {
        Sdp::parse(self.told[side as usize].as_deref()?).ok()
    }
}

/// A body with one piece of it, the description, replaced: other parts of a multipart body pass as they are.
fn in_place_of(body: &[u8], piece: &[u8], new: &[u8]) -> Vec<u8> {
    let start = piece.as_ptr() as usize - body.as_ptr() as usize;
    let (before, after) = (&body[..start], &body[start + piece.len()..]);
    [before, new, after].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Index;

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\
        a=curr:qos local none\r\n";

    fn carried(passage: &mut Passage, rules: &Rules, kind: &str, body: &str) -> Option<String> {
        let text = format!(
            "INVITE tel:1 SIP/2.0\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut index = Index::new();
        let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
        let changed = passage.carry(rules, Side::Caller, &msg, false);
        changed.map(|b| String::from_utf8(b).unwrap())
    }

    #[test]
    fn what_passes_is_remembered_as_it_came_and_as_it_went() {
        let mut passage = Passage::default();
        assert_eq!(carried(&mut passage, &Rules::default(), "application/sdp", SDP), None);
        let texts = |p: &Passage| {
            (p.said(Side::Caller).unwrap().octets().len(), p.told(Side::Callee).unwrap().octets().len())
        };
        assert_eq!(texts(&passage), (SDP.len(), SDP.len()));
        let off = Rules { preconditions: false, ..Rules::default() };
        let passed = carried(&mut passage, &off, "application/sdp", SDP).unwrap();
        assert_eq!(passed, SDP.replace("a=curr:qos local none\r\n", ""));
        assert_eq!(texts(&passage), (SDP.len(), passed.len()));
        assert!(passage.said(Side::Callee).is_none() && passage.told(Side::Caller).is_none());
    }

    #[test]
    fn in_a_multipart_body_only_the_description_changes() {
        let body = format!(
            "--b\r\nContent-Type: application/pidf+xml\r\n\r\n<a/>\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b--\r\n"
        );
        let off = Rules { preconditions: false, ..Rules::default() };
        let mut passage = Passage::default();
        let kind = "multipart/mixed;boundary=b";
        assert_eq!(carried(&mut passage, &Rules::default(), kind, &body), None);
        let passed = carried(&mut passage, &off, kind, &body).unwrap();
        // the line end before the delimiter belongs to it, the last one of the description stays
        assert_eq!(
            passed.replace("\r\n\r\n--b--", "\r\n--b--"),
            body.replace("a=curr:qos local none\r\n", "").replace("\r\n\r\n--b--", "\r\n--b--")
        );
    }

    #[test]
    fn no_description_and_a_broken_one_pass() {
        let off = Rules { preconditions: false, ..Rules::default() };
        let mut passage = Passage::default();
        assert_eq!(carried(&mut passage, &off, "application/sdp", ""), None);
        assert_eq!(carried(&mut passage, &off, "application/sdp", "no description"), None);
        assert_eq!(carried(&mut passage, &off, "text/plain", SDP), None);
        assert!(passage.said(Side::Caller).is_none());
    }
}
