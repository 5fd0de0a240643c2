//! A phone's own view of SIP messages: lines of text, split the simple way, so that it shares no mistake with the parser.

/// A message in lines.
#[derive(Clone, Debug)]
pub struct Text {
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Text {
    /// Splits a message as our server writes them: CRLF, long names.
    pub fn read(octets: &[u8]) -> Text {
        let all = std::str::from_utf8(octets).expect("the phones of this network use ASCII");
        let (head, body) = all.split_once("\r\n\r\n").expect("a message has an empty line");
        let mut lines = head.split("\r\n");
        let start = lines.next().expect("a message has a first line").to_owned();
        let headers = lines
            .map(|l| {
                l.split_once(": ")
                    .map(|(n, v)| (n.to_owned(), v.to_owned()))
                    .expect("a header line has a colon")
            })
            .collect();
        Text { start, headers, body: body.to_owned() }
    }

    /// The first value of a header; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }

    /// All values of a header, line by line.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// A response's code; 0 for a request.
    pub fn code(&self) -> u16 {
        self.start
            .strip_prefix("SIP/2.0 ")
            .map_or(0, |rest| rest[..3].parse().expect("a code of three digits"))
    }

    /// A request's method; the CSeq method of a response.
    pub fn method(&self) -> &str {
        self.get("CSeq").split_once(' ').map_or("", |(_, m)| m)
    }

    /// CSeq number.
    pub fn cseq(&self) -> u32 {
        self.get("CSeq").split_once(' ').and_then(|(n, _)| n.parse().ok()).expect("CSeq has a number")
    }

    /// The branch of the first Via.
    pub fn branch(&self) -> &str {
        parameter(self.get("Via").split(',').next().unwrap_or(""), "branch").unwrap_or("")
    }

    /// The tag of From.
    pub fn tag_of_from(&self) -> &str {
        parameter(self.get("From"), "tag").unwrap_or("")
    }

    /// The tag of To.
    pub fn tag_of_to(&self) -> &str {
        parameter(self.get("To"), "tag").unwrap_or("")
    }
}

/// The value of `;name=value` behind an address or a Via.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let params = value.rfind('>').map_or(value, |at| &value[at + 1..]);
    params.split(';').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The text between `<` and `>`.
pub fn bracketed(value: &str) -> &str {
    value.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(value, |(uri, _)| uri)
}

/// The value of `name="value"` or `name=value` in a challenge.
pub fn challenge_parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let at = value.find(&format!("{name}="))?;
    let rest = &value[at + name.len() + 1..];
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([',', ' ']).next(),
    }
}
