//! Writing XML 1.0: elements, attributes and text in UTF-8, from octets that phones and configurations chose.
//!
//! What would be markup is escaped (XML 1.0 2.4), and what XML cannot hold even escaped (2.2: control characters, octets that are
//! no UTF-8) becomes U+FFFD. No namespaces, no comments, no reading: nothing here looks at what is written.

/// Writes one document.
#[derive(Debug)]
pub struct Xml {
    out: Vec<u8>,
    /// The last start tag still lacks its `>`.
    is_open: bool,
}

impl Xml {
    /// Starts a document.
    pub fn new() -> Self {
        Xml { out: b"<?xml version=\"1.0\"?>\n".to_vec(), is_open: false }
    }

    /// Starts an element; its attributes come next.
    pub fn start(&mut self, name: &str) -> &mut Self {
        self.close();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.is_open = true;
        self
    }

    /// Adds an attribute to the element that was just started.
    pub fn attribute(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        debug_assert!(self.is_open, "attributes come before content");
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"=\"");
        escape(&mut self.out, value.as_ref(), true);
        self.out.push(b'"');
        self
    }

    /// Adds text.
    pub fn text(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.close();
        escape(&mut self.out, text.as_ref(), false);
        self
    }

    /// Ends an element: the one that was started last and has not ended.
    pub fn end(&mut self, name: &str) -> &mut Self {
        self.close();
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b">");
        self
    }

    /// Breaks the line, between elements.
    pub fn line(&mut self) -> &mut Self {
        self.close();
        self.out.push(b'\n');
        self
    }

    /// The document.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.out.push(b'>');
        }
    }
}

/// Appends text so that a reader gets it back: as an attribute's value, or as an element's content. White space other than a
/// space is written by number in attributes, where a reader would make spaces of it (XML 1.0 3.3.3).
fn escape(out: &mut Vec<u8>, text: &[u8], is_attribute: bool) {
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' if is_attribute => out.extend_from_slice(b"&quot;"),
            '\t' if is_attribute => out.extend_from_slice(b"&#9;"),
            '\n' if is_attribute => out.extend_from_slice(b"&#10;"),
            // a reader turns a bare one into a line feed (XML 1.0 2.11)
            '\r' => out.extend_from_slice(b"&#13;"),
            '\t' | '\n' => out.push(c as u8),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.extend_from_slice("\u{fffd}".as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ims::tests::tree::Node;

    fn document(fill: impl FnOnce(&mut Xml)) -> String {
        let mut xml = Xml::new();
        fill(&mut xml);
        String::from_utf8(xml.finish()).unwrap()
    }

    #[test]
    fn elements_attributes_and_text_nest() {
        let text = document(|x| {
            x.start("a").attribute("n", "1").attribute("m", "2").line();
            x.start("b").text("t").end("b");
            x.start("c").end("c").line().end("a").line();
        });
        assert_eq!(text, "<?xml version=\"1.0\"?>\n<a n=\"1\" m=\"2\">\n<b>t</b><c></c>\n</a>\n");
    }

    #[test]
    fn markup_in_values_is_escaped() {
        let value = "\"<urn:gsma:imei:1-2-3>\"&'\t\r\n";
        let text = document(|x| {
            x.start("a").attribute("n", value).text(value).end("a");
        });
        assert_eq!(
            text.split_once('\n').unwrap().1,
            "<a n=\"&quot;&lt;urn:gsma:imei:1-2-3&gt;&quot;&amp;'&#9;&#13;&#10;\">\"&lt;urn:gsma:imei:1-2-3&gt;\"&amp;'\t&#13;\n</a>"
        );
    }

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        let text = document(|x| {
            x.start("a").text(b"\x00\x1b\xff\xc3\xa9\xef\xbf\xbf\x7f").end("a");
        });
        assert!(text.ends_with("<a>\u{fffd}\u{fffd}\u{fffd}é\u{fffd}\u{7f}</a>"), "{text:?}");
    }

    #[test]
    fn a_reader_gets_back_what_was_written() {
        let nasty = "a<b>&amp;\"'\t\n\r]]>\u{e9}\u{10ffff}&#10;--><!--";
        let node = Node::read(&document(|x| {
            x.start("a").attribute("n", nasty).text(nasty).end("a");
        }));
        assert_eq!((node.get("n"), node.text.as_str()), (nasty, nasty));
    }
}
