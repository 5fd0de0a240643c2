//! Registration information as a subscriber reads it (RFC 3680 5): strict, as it is the network that writes it.

use super::xml::{Node, Reader};

/// The name space of the document.
const NAME_SPACE: &str = "urn:ietf:params:xml:ns:reginfo";
/// The media type of the document.
pub const MEDIA_TYPE: &str = "application/reginfo+xml";

/// What has happened to a contact last (RFC 3680 4.7.2, 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the words of the document")]
pub enum Change {
    Registered,
    Created,
    Refreshed,
    Shortened,
    Expired,
    Deactivated,
    Probation,
    Unregistered,
    Rejected,
}

const CHANGES: [(&str, Change); 9] = [
    ("registered", Change::Registered),
    ("created", Change::Created),
    ("refreshed", Change::Refreshed),
    ("shortened", Change::Shortened),
    ("expired", Change::Expired),
    ("deactivated", Change::Deactivated),
    ("probation", Change::Probation),
    ("unregistered", Change::Unregistered),
    ("rejected", Change::Rejected),
];

impl Change {
    /// All words.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CHANGES.iter().map(|(name, _)| *name)
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        CHANGES.iter().find(|(_, change)| *change == self).map_or("", |(name, _)| name)
    }

    /// The change of a word.
    pub fn from_name(word: &str) -> Option<Change> {
        CHANGES.iter().find(|(name, _)| *name == word).map(|(_, change)| *change)
    }
}

/// Where an identity stands (RFC 3680 4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the words of the document")]
pub enum State {
    Init,
    Active,
    Terminated,
}

/// A contact of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Whether it is there.
    pub is_active: bool,
    /// What has happened to it.
    pub change: Change,
    /// Where it is.
    pub uri: String,
    /// Seconds for which it is there.
    pub expires_secs: Option<u32>,
    /// Seconds after which to register again (probation).
    pub retry_after_secs: Option<u32>,
    /// The value of `+sip.instance`, as it came.
    pub instance: String,
}

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its URI.
    pub aor: String,
    /// Where it stands.
    pub state: State,
    /// Its contacts.
    pub contacts: Vec<Contact>,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegInfo {
    /// One more each time.
    pub version: u32,
    /// Whether it says all.
    pub is_full: bool,
    /// Its identities.
    pub registrations: Vec<Registration>,
}

/// Reads a document; the error says what is wrong with it.
pub fn parse(octets: &[u8]) -> Result<RegInfo, String> {
    let mut reader = Reader::new(octets)?;
    let Some(Node::Start(name, attributes)) = reader.next()? else {
        return Err("it has no element".to_owned());
    };
    let (prefix, local) = name.rsplit_once(':').unwrap_or(("", name));
    let declared = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
    if local != "reginfo" || get(&attributes, &declared) != Some(NAME_SPACE) {
        return Err(format!("its element is {name} and not reginfo of {NAME_SPACE}"));
    }
    let mut info = RegInfo {
        version: number(&attributes, "version")?.ok_or("reginfo has no version")?,
        is_full: match get(&attributes, "state") {
            Some("full") => true,
            Some("partial") => false,
            other => {
                return Err(format!("its state is {} and not full or partial", other.unwrap_or("missing")));
            }
        },
        registrations: Vec::new(),
    };
    let mut source = Source { reader, prefix };
    while let Some(attributes) = source.child("registration")? {
        let registration = registration(&mut source, &attributes)?;
        let has_active = registration.contacts.iter().any(|c| c.is_active);
        // what says all has to fit; a change may be told of one contact alone
        if info.is_full
            && !registration.contacts.is_empty()
            && has_active != (registration.state == State::Active)
        {
            return Err(format!("the state of {} and those of its contacts do not fit", registration.aor));
        }
        info.registrations.push(registration);
    }
    match source.reader.next()? {
        None => Ok(info),
        Some(_) => Err("something follows reginfo".to_owned()),
    }
}

type Attributes<'a> = Vec<(&'a str, String)>;

/// The document below its root; what is of another name space is stepped over.
struct Source<'a> {
    reader: Reader<'a>,
    prefix: &'a str,
}

impl<'a> Source<'a> {
    /// The attributes of the next child of this name; `None` when the element ends.
    fn child(&mut self, wanted: &str) -> Result<Option<Attributes<'a>>, String> {
        loop {
            match self.any_child()? {
                Some((name, attributes)) if name == wanted => return Ok(Some(attributes)),
                Some(_) => _ = self.text()?,
                None => return Ok(None),
            }
        }
    }

    /// The next child: its name, empty when it is of another name space. Text between children is white space.
    fn any_child(&mut self) -> Result<Option<(&'a str, Attributes<'a>)>, String> {
        loop {
            match self.reader.next()? {
                Some(Node::Start(name, attributes)) => {
                    let (prefix, local) = name.rsplit_once(':').unwrap_or(("", name));
                    let elsewhere = get(&attributes, "xmlns").is_some_and(|space| space != NAME_SPACE);
                    let is_ours = prefix == self.prefix && !elsewhere;
                    return Ok(Some((if is_ours { local } else { "" }, attributes)));
                }
                Some(Node::Text(text)) if !text.trim_ascii().is_empty() => {
                    return Err(format!("`{}` stands where an element is expected", text.trim_ascii()));
                }
                Some(Node::Text(_)) => {}
                Some(Node::End(_)) | None => return Ok(None),
            }
        }
    }

    /// Steps over the rest of the element that has begun; the text that stood in it.
    fn text(&mut self) -> Result<String, String> {
        let (mut depth, mut all) = (1, String::new());
        while depth > 0 {
            match self.reader.next()? {
                Some(Node::Start(..)) => depth += 1,
                Some(Node::End(_)) => depth -= 1,
                Some(Node::Text(text)) => all += &text,
                None => break,
            }
        }
        Ok(all.trim_ascii().to_owned())
    }
}

fn registration(source: &mut Source<'_>, attributes: &Attributes<'_>) -> Result<Registration, String> {
    get(attributes, "id").ok_or("a registration has no id")?;
    let aor = get(attributes, "aor").ok_or("a registration has no aor")?.to_owned();
    let state = match get(attributes, "state") {
        Some("init") => State::Init,
        Some("active") => State::Active,
        Some("terminated") => State::Terminated,
        other => return Err(format!("the state of {aor} is {}", other.unwrap_or("missing"))),
    };
    let mut contacts = Vec::new();
    while let Some(attributes) = source.child("contact")? {
        contacts.push(contact(source, &attributes).map_err(|words| format!("a contact of {aor}: {words}"))?);
    }
    Ok(Registration { aor, state, contacts })
}

fn contact(source: &mut Source<'_>, attributes: &Attributes<'_>) -> Result<Contact, String> {
    get(attributes, "id").ok_or("it has no id")?;
    let word = get(attributes, "event").ok_or("it has no event")?;
    let mut contact = Contact {
        is_active: match get(attributes, "state") {
            Some("active") => true,
            Some("terminated") => false,
            other => return Err(format!("its state is {}", other.unwrap_or("missing"))),
        },
        change: Change::from_name(word).ok_or_else(|| format!("`{word}` is no event"))?,
        uri: String::new(),
        expires_secs: number(attributes, "expires")?,
        retry_after_secs: number(attributes, "retry-after")?,
        instance: String::new(),
    };
    while let Some((name, attributes)) = source.any_child()? {
        let text = source.text()?;
        match name {
            "uri" if contact.uri.is_empty() => contact.uri = text,
            "uri" => return Err("it has two URIs".to_owned()),
            "unknown-param" if get(&attributes, "name") == Some("+sip.instance") => contact.instance = text,
            _ => {}
        }
    }
    // RFC 3680 5.3
    match contact.change {
        _ if contact.uri.is_empty() => Err("it has no URI".to_owned()),
        Change::Shortened if contact.expires_secs.is_none() => Err("it is shortened to no time".to_owned()),
        Change::Probation if contact.retry_after_secs.is_none() => {
            Err("it is on probation without a time".to_owned())
        }
        _ => Ok(contact),
    }
}

fn get<'b>(attributes: &'b Attributes<'_>, name: &str) -> Option<&'b str> {
    attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}

fn number(attributes: &Attributes<'_>, name: &str) -> Result<Option<u32>, String> {
    let Some(text) = get(attributes, name) else { return Ok(None) };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(format!("{name} is `{text}` and no number of 32 bits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "<?xml version=\"1.0\"?>\n<r:reginfo xmlns:r=\"urn:ietf:params:xml:ns:reginfo\" \
        xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\" version=\"7\" state=\"full\">\n <r:registration aor=\"sip:a@h\" \
        id=\"a1\" state=\"active\">\n  <r:contact id=\"c1\" state=\"active\" event=\"shortened\" expires=\"60\">\n \
        <r:uri> sip:a@192.0.2.1;x=1&amp;2 </r:uri><gr:pub-gruu uri=\"sip:a@h;gr\"/>\n\
        <r:unknown-param name=\"+sip.instance\">\"&lt;urn:uuid:0&gt;\"</r:unknown-param></r:contact>\n\
        <r:contact id=\"c2\" state=\"terminated\" event=\"probation\" retry-after=\"5\"><r:uri>sip:b</r:uri></r:contact>\n\
        <x xmlns=\"urn:x\"><registration/></x></r:registration>\n\
        <r:registration aor=\"tel:+1\" id=\"a2\" state=\"init\"/>\n</r:reginfo>\n";

    #[test]
    fn a_document_is_understood_and_extensions_are_stepped_over() {
        let info = parse(DOCUMENT.as_bytes()).unwrap();
        assert_eq!((info.version, info.is_full, info.registrations.len()), (7, true, 2));
        let [first, second] = &info.registrations[0].contacts[..] else { panic!("{info:?}") };
        assert_eq!((first.is_active, first.change, first.expires_secs), (true, Change::Shortened, Some(60)));
        assert_eq!(
            (first.uri.as_str(), first.instance.as_str()),
            ("sip:a@192.0.2.1;x=1&2", "\"<urn:uuid:0>\"")
        );
        assert_eq!((second.is_active, second.retry_after_secs), (false, Some(5)));
        assert_eq!(
            (info.registrations[1].aor.as_str(), info.registrations[1].state),
            ("tel:+1", State::Init)
        );
    }

    #[test]
    fn a_change_may_tell_of_one_contact_alone() {
        let text = DOCUMENT.replace("state=\"full\"", "state=\"partial\"");
        let text = text.replace("id=\"c1\" state=\"active\"", "id=\"c1\" state=\"terminated\"");
        assert!(!parse(text.as_bytes()).unwrap().is_full);
        assert!(parse(text.replace("partial", "full").as_bytes()).is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, problem) in [
            ("ns:reginfo", "ns:other", "not reginfo of"),
            ("version=\"7\" ", "", "no version"),
            ("version=\"7\"", "version=\"-7\"", "version is `-7`"),
            ("state=\"full\"", "state=\"some\"", "its state is some"),
            (" aor=\"tel:+1\"", "", "no aor"),
            ("id=\"a2\" ", "", "no id"),
            ("state=\"init\"", "state=\"on\"", "the state of tel:+1 is on"),
            ("id=\"a1\" state=\"active\"", "id=\"a1\" state=\"terminated\"", "do not fit"),
            ("event=\"shortened\"", "event=\"cut\"", "`cut` is no event"),
            (" expires=\"60\"", "", "shortened to no time"),
            (" retry-after=\"5\"", "", "probation without a time"),
            ("<r:uri>sip:b</r:uri>", "", "it has no URI"),
            ("<r:uri>sip:b</r:uri>", "<r:uri>sip:b</r:uri><r:uri>x</r:uri>", "two URIs"),
            ("<r:contact id=\"c2\"", "word<r:contact id=\"c2\"", "`word` stands where"),
            ("</r:reginfo>", "", "does not end"),
        ] {
            let text = DOCUMENT.replacen(from, to, 1);
            assert_ne!(text, DOCUMENT, "{from}");
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(problem), "{to}: {error}");
        }
    }

    #[test]
    fn rubbish_is_survived() {
        for cut in 0..DOCUMENT.len() {
            assert!(parse(&DOCUMENT.as_bytes()[..cut]).is_err() || cut >= DOCUMENT.len() - 1);
            let mut changed = DOCUMENT.as_bytes().to_vec();
            changed[cut] ^= 1 << (cut % 8);
            let _ = parse(&changed);
        }
    }

    #[test]
    fn every_event_has_its_word() {
        for (word, change) in CHANGES {
            assert_eq!((Change::from_name(word), change.name()), (Some(change), word));
        }
    }
}
