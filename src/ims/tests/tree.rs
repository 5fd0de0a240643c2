//! XML as a tree, read by a library that knows nothing of our writer.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// One element.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::ims) struct Node {
    pub(in crate::ims) name: String,
    pub(in crate::ims) attributes: Vec<(String, String)>,
    pub(in crate::ims) text: String,
    pub(in crate::ims) children: Vec<Node>,
}

impl Node {
    /// The root element of a document, which must be well-formed.
    pub(in crate::ims) fn read(document: &str) -> Node {
        let mut reader = Reader::from_str(document);
        let mut open = vec![Node::default()];
        loop {
            let here = open.last_mut().expect("the root stays");
            match reader.read_event().unwrap_or_else(|e| panic!("{e}: {document}")) {
                Event::Start(start) => open.push(Node::start(&start)),
                Event::End(_) => {
                    let done = open.pop().expect("what ends has started");
                    open.last_mut().expect("the root stays").children.push(done);
                }
                Event::Text(text) => here.text += &text.xml_content(XmlVersion::Implicit1_0),
                Event::GeneralRef(reference) => {
                    let whole = format!("&{};", reference.xml_content(XmlVersion::Implicit1_0));
                    here.text += &quick_xml::escape::unescape(&whole).expect("a known reference");
                }
                Event::Eof => break,
                Event::Decl(_) => {}
                other => panic!("{other:?} in {document}"),
            }
        }
        assert_eq!((open.len(), open[0].children.len()), (1, 1), "one root: {document}");
        open.remove(0).children.remove(0)
    }

    fn start(start: &BytesStart<'_>) -> Node {
        let attribute = |a: quick_xml::events::attributes::Attribute<'_>| {
            let value = a.normalized_value(XmlVersion::Implicit1_0).expect("a value").into_owned();
            (a.key.0.to_owned(), value)
        };
        Node {
            name: start.name().0.to_owned(),
            attributes: start.attributes().map(|a| attribute(a.expect("an attribute"))).collect(),
            ..Node::default()
        }
    }

    /// The value of an attribute; empty when it is missing.
    pub(in crate::ims) fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The children of this name.
    pub(in crate::ims) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name; empty when there is none.
    pub(in crate::ims) fn text_of(&self, name: &str) -> &str {
        self.children.iter().find(|child| child.name == name).map_or("", |child| &child.text)
    }
}
