//! The dialog of a call: what its requests have in common (RFC 3261 12).

use super::message::{Request, SDP, contact, text, texts, to_tag};
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{HeaderId, Message, Method, NameAddr};

/// A dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// Our address with our tag: From of our requests.
    pub local: String,
    /// Their address with their tag: To of our requests.
    pub remote: String,
    /// Where our requests go.
    pub target: String,
    /// The routes of our requests.
    pub route: Vec<String>,
    /// The number of our last request.
    pub local_cseq: u32,
    /// The number of their last request.
    pub remote_cseq: Option<u32>,
}

impl Dialog {
    /// The dialog that a response to our INVITE makes (12.1.2).
    pub fn of_response(invite: &Request, response: &Message<'_>) -> Dialog {
        let mut route = texts(response, HeaderId::RecordRoute);
        route.reverse();
        Dialog {
            call_id: invite.call_id.clone(),
            local: invite.from.clone(),
            remote: text(response, HeaderId::To),
            target: contact(response).unwrap_or_else(|| invite.uri.clone()),
            route,
            local_cseq: invite.cseq,
            remote_cseq: None,
        }
    }

    /// The dialog that their INVITE makes under our tag (12.1.1).
    pub fn of_request(invite: &Message<'_>, tag: &str) -> Dialog {
        let from = text(invite, HeaderId::From);
        let uri = NameAddr::parse(from.as_bytes()).map_or(String::new(), |a| lossy(a.uri_text).into_owned());
        Dialog {
            call_id: text(invite, HeaderId::CallId),
            local: format!("{};tag={tag}", text(invite, HeaderId::To)),
            target: contact(invite).unwrap_or(uri),
            remote: from,
            route: texts(invite, HeaderId::RecordRoute),
            local_cseq: 0,
            remote_cseq: invite.cseq().map(|c| c.number),
        }
    }

    /// Whether a request of theirs belongs to it: Call-ID and both tags.
    pub fn owns(&self, request: &Message<'_>) -> bool {
        let tag = |value: &str| {
            let tag = NameAddr::parse(value.as_bytes()).and_then(|a| a.tag());
            tag.map(|t| lossy(t).into_owned()).unwrap_or_default()
        };
        let from = request.from().and_then(|f| f.tag()).map(|t| lossy(t).into_owned());
        text(request, HeaderId::CallId) == self.call_id
            && to_tag(request) == tag(&self.local)
            && from.unwrap_or_default() == tag(&self.remote)
    }

    /// Takes the number of a request of theirs; false when it is out of order (12.2.2).
    pub fn take_number(&mut self, request: &Message<'_>) -> bool {
        let Some(number) = request.cseq().map(|c| c.number) else { return false };
        let is_new = self.remote_cseq.is_none_or(|last| number > last);
        if is_new {
            self.remote_cseq = Some(number);
        }
        is_new
    }

    /// Takes the target of a request or response that may change it (12.2.1.2, RFC 3311 5.1).
    pub fn refresh(&mut self, message: &Message<'_>) {
        if let Some(target) = contact(message) {
            self.target = target;
        }
    }

    /// The next request of ours in it. ACK has the number of its INVITE instead (13.2.2.4).
    pub fn request(&mut self, method: Method, headers: Vec<(&'static str, String)>) -> Request {
        self.local_cseq += 1;
        self.with_number(method, self.local_cseq, headers)
    }

    /// A request of ours with this number.
    pub fn with_number(&self, method: Method, cseq: u32, headers: Vec<(&'static str, String)>) -> Request {
        Request {
            method,
            uri: self.target.clone(),
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq,
            route: self.route.clone(),
            headers,
            body: Vec::new(),
            kind: SDP,
            challenged: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::wire::sip::Index;

    fn with<T>(octets: &str, check: impl FnOnce(&Message<'_>) -> T) -> T {
        let mut index = Index::new();
        check(&Message::parse(octets.as_bytes(), &mut index).unwrap())
    }

    const INVITE: &str = "INVITE sip:b@2 SIP/2.0\r\nRecord-Route: <sip:p1;lr>,<sip:p2;lr>\r\nFrom: <sip:a@h>;tag=A\r\n\
                          To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 5 INVITE\r\nContact: <sip:a@1>\r\n\r\n";

    #[test]
    fn a_callee_answers_along_the_recorded_route() {
        let mut dialog = with(INVITE, |m| Dialog::of_request(m, "B"));
        let bye = dialog.request(Method::Bye, Vec::new());
        assert_eq!((bye.uri.as_str(), bye.cseq), ("sip:a@1", 1));
        assert_eq!((bye.from.as_str(), bye.to.as_str()), ("<sip:b@h>;tag=B", "<sip:a@h>;tag=A"));
        assert_eq!(bye.route, ["<sip:p1;lr>", "<sip:p2;lr>"]);
    }

    #[test]
    fn a_caller_goes_the_route_the_other_way() {
        let mut dialog = with(INVITE, |m| Dialog::of_request(m, "B"));
        let invite = dialog.request(Method::Invite, Vec::new());
        let ok = "SIP/2.0 200 OK\r\nRecord-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\nTo: <sip:a@h>;tag=T\r\n\
                  Contact: <sip:x@9>\r\n\r\n";
        let dialog = with(ok, |m| Dialog::of_response(&invite, m));
        assert_eq!(dialog.route, ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!((dialog.target.as_str(), dialog.remote.as_str()), ("sip:x@9", "<sip:a@h>;tag=T"));
    }

    #[test]
    fn a_request_belongs_by_call_id_and_tags_and_comes_in_order() {
        let mut dialog = with(INVITE, |m| Dialog::of_request(m, "B"));
        let bye = |to: &str, from: &str, n: u32| {
            format!(
                "BYE sip:b@2 SIP/2.0\r\nFrom: <sip:a@h>;tag={from}\r\nTo: <sip:b@h>;tag={to}\r\nCall-ID: c\r\nCSeq: {n} BYE\r\n\r\n"
            )
        };
        assert!(with(&bye("B", "A", 6), |m| dialog.owns(m)));
        assert!(!with(&bye("X", "A", 6), |m| dialog.owns(m)));
        assert!(!with(&bye("B", "X", 6), |m| dialog.owns(m)));
        assert!(with(&bye("B", "A", 6), |m| dialog.take_number(m)));
        assert!(!with(&bye("B", "A", 6), |m| dialog.take_number(m)));
    }
}
