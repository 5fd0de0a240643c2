//! Custom headers: what the operator adds to, replaces in, or removes from messages as they are written.

use super::header::HeaderId;
use smallvec::SmallVec;

/// One header that the operator adds, replaces or removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomHeader {
    /// Header name.
    pub name: String,
    /// Header value; none removes the header.
    pub value: Option<String>,
    /// Replace occurrences instead of adding one.
    pub replace: bool,
    /// Methods it applies to; `*` is all. Empty: no request.
    pub methods: Vec<String>,
    /// Status codes it applies to; 0 is all. Empty: no response.
    pub codes: Vec<u16>,
}

impl CustomHeader {
    /// Whether a header of this name stays as it is, because no message could be read, or would find its way, without it.
    pub fn is_fixed(name: &str) -> bool {
        use HeaderId as H;
        matches!(
            H::from_name(name.as_bytes()),
            H::Via | H::From | H::To | H::CallId | H::CSeq | H::ContentLength
        )
    }

    fn is_named(&self, name: &[u8]) -> bool {
        let id = HeaderId::from_name(name);
        let same_id = id != HeaderId::Other && id == HeaderId::from_name(self.name.as_bytes());
        same_id || self.name.as_bytes().eq_ignore_ascii_case(name)
    }
}

/// The custom headers of one message.
#[derive(Clone, Debug, Default)]
pub struct Custom<'c> {
    entries: SmallVec<[&'c CustomHeader; 4]>,
}

impl<'c> Custom<'c> {
    /// What applies to a request of this method: entries that name it, or `*`, and no status code.
    pub fn of_request(all: &'c [CustomHeader], method: &[u8]) -> Self {
        Self::filter(all, |h| h.codes.is_empty() && names_method(h, method))
    }

    /// What applies to a response: entries that name its code, or 0; if they name methods too, only to those.
    pub fn of_response(all: &'c [CustomHeader], method: &[u8], status: u16) -> Self {
        Self::filter(all, |h| {
            let code_fits = h.codes.iter().any(|&c| c == 0 || c == status);
            code_fits && (h.methods.is_empty() || names_method(h, method))
        })
    }

    fn filter(all: &'c [CustomHeader], fits: impl Fn(&CustomHeader) -> bool) -> Self {
        Custom { entries: all.iter().filter(|h| fits(h) && !CustomHeader::is_fixed(&h.name)).collect() }
    }

    /// Whether headers of this name, long or compact, are left out: an entry removes or replaces them.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.entries.iter().any(|h| (h.value.is_none() || h.replace) && h.is_named(name))
    }

    /// The headers that the entries add, names and values.
    pub fn added(&self) -> impl Iterator<Item = (&'c str, &'c str)> + '_ {
        self.entries.iter().filter_map(|h| Some((h.name.as_str(), h.value.as_deref()?)))
    }
}

fn names_method(header: &CustomHeader, method: &[u8]) -> bool {
    header.methods.iter().any(|m| m == "*" || m.as_bytes() == method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: Option<&str>, methods: &[&str], codes: &[u16]) -> CustomHeader {
        CustomHeader {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            replace: false,
            methods: methods.iter().map(|m| (*m).to_owned()).collect(),
            codes: codes.to_vec(),
        }
    }

    fn names(custom: &Custom<'_>) -> Vec<String> {
        custom.entries.iter().map(|h| h.name.clone()).collect()
    }

    #[test]
    fn methods_choose_requests_and_codes_choose_responses() {
        let all = [
            header("X-A", Some("1"), &["INVITE"], &[]),
            header("X-B", Some("1"), &["*"], &[]),
            header("X-C", Some("1"), &[], &[180]),
            header("X-D", Some("1"), &[], &[0]),
            header("X-E", Some("1"), &["BYE"], &[200]),
        ];
        assert_eq!(names(&Custom::of_request(&all, b"INVITE")), ["X-A", "X-B"]);
        assert_eq!(names(&Custom::of_request(&all, b"BYE")), ["X-B"]);
        assert_eq!(names(&Custom::of_response(&all, b"INVITE", 180)), ["X-C", "X-D"]);
        assert_eq!(names(&Custom::of_response(&all, b"INVITE", 200)), ["X-D"]);
        assert_eq!(names(&Custom::of_response(&all, b"BYE", 200)), ["X-D", "X-E"]);
    }

    #[test]
    fn an_entry_without_value_removes_and_one_that_replaces_removes_too() {
        let mut all = vec![header("P-Early-Media", None, &["*"], &[]), header("X-A", Some("1"), &["*"], &[])];
        let removes = |all: &[CustomHeader], name| Custom::of_request(all, b"INVITE").removes(name);
        assert!(removes(&all, b"p-early-media") && !removes(&all, b"X-A"));
        all[1].replace = true;
        assert!(removes(&all, b"x-a"));
        assert!(removes(&[header("k", None, &["*"], &[])], b"Supported"), "compact and long are one name");
    }

    #[test]
    fn what_frames_a_message_stays() {
        let all: Vec<_> =
            ["Via", "f", "To", "call-id", "CSeq", "l"].map(|n| header(n, None, &["*"], &[0])).into();
        assert!(names(&Custom::of_request(&all, b"INVITE")).is_empty());
        assert!(names(&Custom::of_response(&all, b"INVITE", 200)).is_empty());
    }
}
