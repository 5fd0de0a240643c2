//! Laws of the wire: what holds for every message, not for one. Messages are drawn from the grammar by seed, and the seed is
//! in the panic's message; or they are all the vectors there are.

#[path = "support/grammar.rs"]
mod grammar;
#[path = "support/read_all.rs"]
mod read_all;
#[path = "support/vectors.rs"]
mod vectors;

use grammar::Style;
use imsbox::base::rng::Rng;
use imsbox::wire::sip::{HeaderId, Index, Message, NameAddr, Params, Stored, Via, Writer};

/// Seeds drawn for each law.
const SEEDS: u64 = 600;

/// Name and value of a parameter.
type Param = (Vec<u8>, Vec<u8>);
/// Transport, host, port and parameters of a Via.
type Hop = (Vec<u8>, String, Option<u16>, Vec<Param>);
/// Header, display name, URI and parameters of an address.
type Party = (HeaderId, Vec<u8>, Vec<u8>, Vec<Param>);

/// What a message means: everything that its outward form does not change.
#[derive(PartialEq, Debug)]
struct Meaning {
    start: (u16, Vec<u8>, Vec<u8>, Vec<u8>),
    vias: Vec<Hop>,
    parties: Vec<Party>,
    cseq: Option<(u32, Vec<u8>)>,
    numbers: (Option<u8>, Option<u32>),
    texts: Vec<(HeaderId, Vec<u8>)>,
    body: Vec<u8>,
}

fn params(params: Params<'_>) -> Vec<Param> {
    params.iter().map(|p| (p.name.to_vec(), p.text().to_vec())).collect()
}

fn parties(m: &Message<'_>) -> Vec<Party> {
    let headers = [HeaderId::From, HeaderId::To, HeaderId::Contact, HeaderId::Route];
    let all = headers.into_iter().flat_map(|id| m.values(id).map(move |v| (id, v)));
    all.map(|(id, v)| {
        let a = NameAddr::parse(v).expect("an address");
        assert!(a.uri.is_some(), "{}", String::from_utf8_lossy(v));
        (id, a.display.to_vec(), a.uri_text.to_vec(), params(a.params))
    })
    .collect()
}

fn meaning(m: &Message<'_>) -> Meaning {
    let via = |v| {
        let v = Via::parse(v).expect("a Via");
        (v.transport.to_vec(), v.host.to_string(), v.port, params(v.params))
    };
    let lists = m.values(HeaderId::Supported).map(|v| (HeaderId::Supported, v.to_vec()));
    let single = [HeaderId::CallId, HeaderId::Subject, HeaderId::ContentType].into_iter();
    let single = single.filter_map(|id| m.header(id).map(|v| (id, v.to_vec())));
    Meaning {
        start: (m.status(), m.method_token().to_vec(), m.request_uri().to_vec(), m.reason().to_vec()),
        vias: m.values(HeaderId::Via).map(via).collect(),
        parties: parties(m),
        cseq: m.cseq().map(|c| (c.number, c.token.to_vec())),
        numbers: (m.max_forwards(), m.expires()),
        texts: lists.chain(single).collect(),
        body: m.body().to_vec(),
    }
}

/// Parses what must be without defect.
fn parse<'a>(octets: &'a [u8], index: &'a mut Index) -> Message<'a> {
    let show = || String::from_utf8_lossy(octets).into_owned();
    let message = Message::parse(octets, index).unwrap_or_else(|e| panic!("{e}:\n{}", show()));
    assert_eq!(message.check(), Ok(()), "{}", show());
    message
}

/// Names, values and body of a message: what writing must keep.
fn fields(m: &Message<'_>) -> Vec<(HeaderId, Vec<u8>, Vec<u8>)> {
    m.fields().map(|f| (f.id, f.name.to_vec(), f.value.to_vec())).collect()
}

/// Writes a message again, field by field; the writer has the last word on the body's type and length.
fn rewrite(m: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let reason = String::from_utf8_lossy(m.reason());
    let mut w = if m.is_request() {
        Writer::request(&mut out, m.method_token(), m.request_uri())
    } else {
        Writer::response(&mut out, m.status(), Some(&reason))
    };
    for f in m.fields().filter(|f| !matches!(f.id, HeaderId::ContentType | HeaderId::ContentLength)) {
        w.field(f.name, &[f.value]);
    }
    w.body(m.header(HeaderId::ContentType).unwrap_or(b"text/plain"), m.body());
    out
}

#[test]
fn the_outward_form_changes_no_meaning() {
    let (mut plain, mut styled) = (Index::new(), Index::new());
    for seed in 0..SEEDS {
        let mut rng = Rng::from_seed(seed);
        let draft = grammar::draw(&mut rng);
        let tidy = draft.render(Style::PLAIN, &mut rng);
        let style = Style::draw(&mut rng);
        let odd = draft.render(style, &mut rng);
        let (a, b) = (meaning(&parse(&tidy, &mut plain)), meaning(&parse(&odd, &mut styled)));
        assert_eq!(a, b, "seed {seed}, {style:?}:\n{}", String::from_utf8_lossy(&odd));
        assert_eq!(a.body, draft.body, "seed {seed}");
    }
}

#[test]
fn compact_names_are_the_long_ones() {
    let (mut long, mut compact) = (Index::new(), Index::new());
    for seed in 0..SEEDS {
        let mut rng = Rng::from_seed(seed);
        let draft = grammar::draw(&mut rng);
        let a = draft.render(Style::PLAIN, &mut rng);
        let b = draft.render(Style { compact: true, ..Style::PLAIN }, &mut rng);
        let ids = |m: Message<'_>| m.fields().map(|f| (f.id, f.value.to_vec())).collect::<Vec<_>>();
        assert!(b.len() < a.len(), "seed {seed}: nothing became compact");
        assert_eq!(ids(parse(&a, &mut long)), ids(parse(&b, &mut compact)), "seed {seed}");
    }
}

#[test]
fn what_is_parsed_and_written_parses_the_same() {
    let (mut first, mut second) = (Index::new(), Index::new());
    for seed in 0..SEEDS {
        let mut rng = Rng::from_seed(seed);
        let draft = grammar::draw(&mut rng);
        let octets = draft.render(Style::draw(&mut rng), &mut rng);
        let a = parse(&octets, &mut first);
        let again = rewrite(&a);
        let b = parse(&again, &mut second);
        assert_eq!(meaning(&a), meaning(&b), "seed {seed}");
        // what was folded is written unfolded
        let unfold = |o: u8| if matches!(o, b'\r' | b'\n') { b' ' } else { o };
        let kept = |all: Vec<(HeaderId, Vec<u8>, Vec<u8>)>| {
            all.into_iter()
                .filter(|(id, ..)| !matches!(id, HeaderId::ContentType | HeaderId::ContentLength))
                .map(|(id, name, value)| (id, name, value.into_iter().map(unfold).collect::<Vec<_>>()))
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(fields(&a)), kept(fields(&b)), "seed {seed}");
    }
}

#[test]
fn a_written_message_is_a_fixed_point() {
    let (mut first, mut second) = (Index::new(), Index::new());
    for seed in 0..SEEDS {
        let mut rng = Rng::from_seed(seed);
        let octets = grammar::draw(&mut rng).render(Style::draw(&mut rng), &mut rng);
        let once = rewrite(&parse(&octets, &mut first));
        let twice = rewrite(&parse(&once, &mut second));
        assert_eq!(once, twice, "seed {seed}");
    }
}

/// All message vectors.
fn all_vectors() -> Vec<(String, Vec<u8>)> {
    let folders = ["phones", "sip_torture/valid", "sip_torture/invalid", "sip_torture/volte"];
    folders.into_iter().flat_map(vectors::messages).collect()
}

#[test]
fn a_stored_message_reads_as_the_one_received() {
    let mut index = Index::new();
    for (name, octets) in all_vectors() {
        let Ok(m) = Message::parse(&octets, &mut index) else { continue };
        let stored = Stored::new(&m);
        let copy = stored.message();
        assert_eq!(
            (m.check(), m.method_token(), m.status()),
            (copy.check(), copy.method_token(), copy.status()),
            "{name}"
        );
        assert_eq!((fields(&m), m.body()), (fields(&copy), copy.body()), "{name}");
    }
}

#[test]
fn no_truncation_panics() {
    let mut index = Index::new();
    for (_, octets) in all_vectors() {
        for end in 0..octets.len() {
            read_all::message(&octets[..end], &mut index);
        }
    }
}

/// Every how many bits one is flipped: all of them in an optimised build, a coprime of 8 where time counts.
const BIT_STRIDE: usize = if cfg!(debug_assertions) { 29 } else { 1 };

#[test]
fn no_flipped_bit_panics() {
    let mut index = Index::new();
    for (_, mut octets) in all_vectors() {
        for bit in (0..octets.len() * 8).step_by(BIT_STRIDE) {
            octets[bit / 8] ^= 1 << (bit % 8);
            read_all::message(&octets, &mut index);
            octets[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
