//! A reader for small XML documents (W3C XML 1.0), element by element: as strict as a phone can be, and without DTDs.

/// The deepest nesting of elements.
const DEEPEST: usize = 32;

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    /// An element begins: its name, with prefix, and its attributes.
    Start(&'a str, Vec<(&'a str, String)>),
    /// An element ends.
    End(&'a str),
    /// Text between tags, references resolved; white space as it came.
    Text(String),
}

/// Reads a document piece by piece.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a str,
    open: Vec<&'a str>,
    /// The end of an element that was written as one tag.
    pending: Option<&'a str>,
    has_root: bool,
}

impl<'a> Reader<'a> {
    /// A reader of this document.
    pub fn new(octets: &'a [u8]) -> Result<Reader<'a>, String> {
        let text = std::str::from_utf8(octets).map_err(|_| "it is not UTF-8".to_owned())?;
        let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Reader { rest, open: Vec::new(), pending: None, has_root: false })
    }

    /// The next piece; `None` at the end of a document that is whole.
    pub fn next(&mut self) -> Result<Option<Node<'a>>, String> {
        loop {
            if let Some(name) = self.pending.take() {
                self.open.pop();
                return Ok(Some(Node::End(name)));
            }
            if self.rest.is_empty() {
                return match (self.open.last(), self.has_root) {
                    (Some(name), _) => Err(format!("<{name}> does not end")),
                    (None, false) => Err("it has no element".to_owned()),
                    (None, true) => Ok(None),
                };
            }
            if let Some(node) = self.piece()? {
                return Ok(Some(node));
            }
        }
    }

    /// One piece; `None` for one that says nothing.
    fn piece(&mut self) -> Result<Option<Node<'a>>, String> {
        if let Some(rest) = self.rest.strip_prefix("<!--") {
            self.rest = rest;
            self.until("-->")?;
            return Ok(None);
        }
        if let Some(rest) = self.rest.strip_prefix("<?") {
            self.rest = rest;
            self.until("?>")?;
            return Ok(None);
        }
        if let Some(rest) = self.rest.strip_prefix("<![CDATA[") {
            self.rest = rest;
            let text = self.until("]]>")?.to_owned();
            return self.inside(text);
        }
        if self.rest.starts_with("<!") {
            return Err("it has a document type, which is not taken".to_owned());
        }
        if let Some(rest) = self.rest.strip_prefix("</") {
            self.rest = rest;
            let name = self.until(">")?.trim_ascii_end();
            return match self.open.pop() {
                Some(open) if open == name => Ok(Some(Node::End(name))),
                _ => Err(format!("</{name}> ends nothing")),
            };
        }
        if self.rest.starts_with('<') {
            return self.tag().map(Some);
        }
        let end = self.rest.find('<').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.inside(resolve(text)?)
    }

    /// Text: outside of the root there may be white space only.
    fn inside(&self, text: String) -> Result<Option<Node<'a>>, String> {
        match self.open.is_empty() {
            false => Ok(Some(Node::Text(text))),
            true if text.trim_ascii().is_empty() => Ok(None),
            true => Err("it has text outside of its element".to_owned()),
        }
    }

    fn tag(&mut self) -> Result<Node<'a>, String> {
        if self.open.is_empty() && self.has_root {
            return Err("it has two elements where one may be".to_owned());
        }
        if self.open.len() == DEEPEST {
            return Err(format!("its elements are nested more than {DEEPEST} deep"));
        }
        self.rest = &self.rest[1..];
        let name = self.name()?;
        let mut attributes: Vec<(&str, String)> = Vec::new();
        loop {
            let before = self.rest.len();
            self.rest = self.rest.trim_ascii_start();
            if let Some(rest) = self.rest.strip_prefix("/>") {
                self.rest = rest;
                self.pending = Some(name);
                break;
            }
            if let Some(rest) = self.rest.strip_prefix('>') {
                self.rest = rest;
                break;
            }
            if before == self.rest.len() {
                return Err(format!("<{name}> is not well formed"));
            }
            let (key, value) = self.attribute()?;
            if attributes.iter().any(|(known, _)| *known == key) {
                return Err(format!("<{name}> has {key} twice"));
            }
            attributes.push((key, value));
        }
        self.has_root = true;
        self.open.push(name);
        Ok(Node::Start(name, attributes))
    }

    fn attribute(&mut self) -> Result<(&'a str, String), String> {
        let key = self.name()?;
        let value = self.rest.trim_ascii_start().strip_prefix('=').map(str::trim_ascii_start);
        let value = value.ok_or_else(|| format!("{key} has no value"))?;
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or_else(|| format!("the value of {key} has no quotes"))?;
        let (value, rest) =
            value[1..].split_once(quote).ok_or_else(|| format!("the value of {key} does not end"))?;
        if value.contains('<') {
            return Err(format!("the value of {key} holds a tag"));
        }
        self.rest = rest;
        Ok((key, resolve(value)?))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return Err("a name is missing in a tag".to_owned());
        }
        self.rest = rest;
        Ok(name)
    }

    fn until(&mut self, end: &str) -> Result<&'a str, String> {
        let (text, rest) = self.rest.split_once(end).ok_or_else(|| format!("{end} is missing"))?;
        self.rest = rest;
        Ok(text)
    }
}

/// Resolves references to characters.
fn resolve(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').ok_or("an & is not followed by a name and a ;")?;
        let number = match (name.strip_prefix("#x"), name.strip_prefix('#')) {
            (Some(hex), _) => u32::from_str_radix(hex, 16).ok(),
            (None, Some(decimal)) => decimal.parse().ok(),
            (None, None) => None,
        };
        let known = [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"'), ("apos", '\'')];
        let named = known.iter().find(|(n, _)| *n == name).map(|(_, c)| *c);
        let character = named.or_else(|| number.and_then(char::from_u32).filter(|c| *c != '\0'));
        out += before;
        out.push(character.ok_or_else(|| format!("&{name}; stands for nothing"))?);
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Node<'_>>, String> {
        let mut reader = Reader::new(text.as_bytes())?;
        std::iter::from_fn(|| reader.next().transpose()).collect()
    }

    #[test]
    fn a_document_comes_piece_by_piece() {
        let text = "\u{feff}<?xml version='1.0'?>\n<!-- <no> -->\n<a x='1' y = \"&lt;&#65;&#x42;&quot;\"><p:b/>t &amp; u<![CDATA[<&]]></a >\n";
        let expected = vec![
            Node::Start("a", vec![("x", "1".to_owned()), ("y", "<AB\"".to_owned())]),
            Node::Start("p:b", vec![]),
            Node::End("p:b"),
            Node::Text("t & u".to_owned()),
            Node::Text("<&".to_owned()),
            Node::End("a"),
        ];
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn what_is_not_well_formed_is_named() {
        for (text, problem) in [
            ("", "it has no element"),
            ("<a>", "<a> does not end"),
            ("<a></b>", "</b> ends nothing"),
            ("</a>", "</a> ends nothing"),
            ("<a/><b/>", "two elements"),
            ("<a/>x", "text outside"),
            ("<a x=1/>", "no quotes"),
            ("<a x='1' x='2'/>", "x twice"),
            ("<a x='1'y='2'/>", "<a> is not well formed"),
            ("<a x='<'/>", "holds a tag"),
            ("<a x/>", "x has no value"),
            ("<a x='1/>", "does not end"),
            ("< a/>", "a name is missing"),
            ("<a>&b;</a>", "&b; stands for nothing"),
            ("<a>& b</a>", "an & is not followed"),
            ("<a>&#0;</a>", "&#0; stands for nothing"),
            ("<!DOCTYPE a><a/>", "document type"),
            ("<!-- ", "--> is missing"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!(Reader::new(b"<a>\xff</a>").is_err());
        let deep = "<a>".repeat(DEEPEST + 1);
        assert!(read(&deep).unwrap_err().contains("deep"));
    }
}
