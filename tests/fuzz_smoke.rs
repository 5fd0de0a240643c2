//! Mutated messages through all parsers of the wire: none panics, none loops. Seeded, so that a failure can be run again: the
//! seed of the mutant is in the message of the panic that follows.

#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/read_all.rs"]
mod read_all;
#[path = "support/vectors.rs"]
mod vectors;

use imsbox::base::rng::Rng;
use imsbox::proto::sip::framer::{Frame, FrameError, Framer};
use imsbox::wire::sip::{HeaderId, Index, Message};
use mutate::{below, mutate};

/// Mutated messages.
const MUTANTS: u64 = if cfg!(debug_assertions) { 12_000 } else { 400_000 };

/// Mutated pieces for each parser of a piece.
const PIECES: u64 = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };

fn corpus() -> Vec<Vec<u8>> {
    let folders = ["phones", "sip_torture/valid", "sip_torture/invalid", "sip_torture/volte"];
    folders.into_iter().flat_map(vectors::messages).map(|(_, octets)| octets).collect()
}

/// Says which mutant it was if a parser panics.
struct Named(&'static str, u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} of seed {}", self.0, self.1);
        }
    }
}

#[test]
fn mutated_messages_panic_no_parser() {
    let corpus = corpus();
    let mut index = Index::new();
    for seed in 0..MUTANTS {
        let _named = Named("mutant", seed);
        let mut rng = Rng::from_seed(seed);
        let mut text = corpus[below(&mut rng, corpus.len())].clone();
        let other = &corpus[below(&mut rng, corpus.len())];
        for _ in 0..=rng.below(6) {
            mutate(&mut rng, &mut text, other);
        }
        read_all::message(&text, &mut index);
    }
}

#[test]
fn mutated_pieces_panic_no_parser() {
    const HEADERS: [HeaderId; 8] = [
        HeaderId::Via,
        HeaderId::Contact,
        HeaderId::Authorization,
        HeaderId::SecurityVerify,
        HeaderId::From,
        HeaderId::Reason,
        HeaderId::PAccessNetworkInfo,
        HeaderId::RetryAfter,
    ];
    let corpus = corpus();
    let lines: Vec<&[u8]> = corpus.iter().flat_map(|m| m.split(|&o| o == b'\n')).collect();
    for seed in 0..PIECES {
        let _named = Named("piece", seed);
        let mut rng = Rng::from_seed(seed);
        let line = lines[below(&mut rng, lines.len())];
        let mut text = line[memchr::memchr(b':', line).map_or(0, |colon| colon + 1)..].to_vec();
        let other = lines[below(&mut rng, lines.len())];
        for _ in 0..rng.below(4) {
            mutate(&mut rng, &mut text, other);
        }
        HEADERS.iter().for_each(|&id| read_all::header(id, &text));
        read_all::uri(&text);
        let _ = std::hint::black_box(HeaderId::from_name(&text));
    }
}

#[test]
fn mutated_bodies_panic_no_parser() {
    let corpus = corpus();
    let body = |m: &Vec<u8>| m.windows(4).position(|w| w == b"\r\n\r\n").map(|at| m[at + 4..].to_vec());
    let bodies: Vec<_> = corpus.iter().filter_map(body).filter(|b| !b.is_empty()).collect();
    for seed in 0..MUTANTS {
        let _named = Named("body", seed);
        let mut rng = Rng::from_seed(seed);
        let mut text = bodies[below(&mut rng, bodies.len())].clone();
        let other = &bodies[below(&mut rng, bodies.len())];
        for _ in 0..=rng.below(4) {
            mutate(&mut rng, &mut text, other);
        }
        read_all::sdp(&text);
        read_all::body(b"multipart/mixed;boundary=7a9cbec02ceef655", &text);
    }
}

/// Hands a stream to a framer in pieces of any size; the messages that it cuts, and how that ended.
fn cut(rng: &mut Rng, stream: &[u8]) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let (mut framer, mut messages, mut rest) = (Framer::new(), Vec::new(), stream);
    loop {
        loop {
            match framer.next_frame() {
                Ok(Some(Frame::Message(octets))) => messages.push(octets.to_vec()),
                Ok(Some(Frame::Ping)) => {}
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        if rest.is_empty() {
            return (messages, Ok(()));
        }
        let room = framer.room();
        let len = 1 + below(rng, rest.len().min(room.len()));
        let (piece, later) = rest.split_at(len.min(rest.len()));
        room[..piece.len()].copy_from_slice(piece);
        framer.received(piece.len());
        rest = later;
    }
}

/// Whether every line of the header ends in CR LF.
fn has_proper_lines(message: &[u8]) -> bool {
    let end = message.windows(4).position(|w| w == b"\r\n\r\n").expect("the framer looked for it");
    memchr::memchr_iter(b'\n', &message[..end]).all(|lf| lf > 0 && message[lf - 1] == b'\r')
}

#[test]
fn whole_messages_are_cut_out_of_a_stream_as_they_were_put_in() {
    let phones: Vec<_> = vectors::messages("phones").into_iter().map(|(_, octets)| octets).collect();
    for seed in 0..200 {
        let _named = Named("stream", seed);
        let mut rng = Rng::from_seed(seed);
        let put: Vec<&Vec<u8>> = (0..8).map(|_| &phones[below(&mut rng, phones.len())]).collect();
        let stream: Vec<u8> = put.iter().flat_map(|m| m.iter().copied()).collect();
        let (messages, end) = cut(&mut rng, &stream);
        assert_eq!(end, Ok(()));
        assert!(messages.iter().eq(put), "seed {seed}");
    }
}

#[test]
fn framer_and_parser_agree_on_where_a_message_ends() {
    let corpus = corpus();
    let mut index = Index::new();
    let mut agreed = 0;
    for seed in 0..MUTANTS {
        let _named = Named("stream", seed);
        let mut rng = Rng::from_seed(seed);
        let mut stream = corpus[below(&mut rng, corpus.len())].clone();
        let other = &corpus[below(&mut rng, corpus.len())];
        for _ in 0..rng.below(4) {
            mutate(&mut rng, &mut stream, other);
        }
        for octets in cut(&mut rng, &stream).0 {
            let Ok(message) = Message::parse(&octets, &mut index) else { continue };
            if message.defect().is_none() && has_proper_lines(&octets) {
                assert!(octets.ends_with(message.body()), "seed {seed}");
                let head = octets.windows(4).position(|w| w == b"\r\n\r\n").expect("as above") + 4;
                assert_eq!(head + message.body().len(), octets.len(), "seed {seed}");
                agreed += 1;
            }
        }
    }
    assert!(agreed > MUTANTS / 10, "only {agreed} messages were whole");
}
