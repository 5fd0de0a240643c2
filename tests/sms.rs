//! Short messages: every row of the vectors (`sms.json`: TS 23.038, 23.040, 24.011) read field by field and made again octet by
//! octet from its fields, and the laws that hold for all octets.

#[path = "support/mutate.rs"]
mod mutate;
#[path = "support/read_all_sms.rs"]
mod read_all;

use imsbox::base::rng::Rng;
use imsbox::base::time::UnixTime;
use imsbox::wire::gsm::address::Address;
use imsbox::wire::gsm::cp::{Cp, CpCause, Cpdu, Transaction};
use imsbox::wire::gsm::dcs::{Alphabet, Dcs, Group, Waiting};
use imsbox::wire::gsm::reader::Reader;
use imsbox::wire::gsm::tpdu::command::{Command, CommandType};
use imsbox::wire::gsm::tpdu::{Carrier, Parameters, Status, Tpdu};
use imsbox::wire::gsm::validity::{Enhanced, Validity, relative, relative_octet};
use imsbox::wire::gsm::{
    Deliver, DeliverReport, Direction, FailureCause, Pid, Rp, RpCause, Rpdu, StatusReport, Submit,
    SubmitReport, Timestamp, UserData, UserDataBuf, alphabet, septets,
};
use imsbox::wire::telephone::Number;
use serde_json::Value;
use std::collections::BTreeSet;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sms.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON")
}

fn hex(text: &str) -> Vec<u8> {
    let octet = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(octet).collect()
}

/// A row of a table, which knows which of its fields were looked at.
struct Row<'a> {
    value: &'a Value,
    seen: BTreeSet<String>,
}

impl<'a> Row<'a> {
    fn id(&self) -> &'a str {
        self.value["id"].as_str().unwrap_or("?")
    }

    fn get(&mut self, key: &str) -> Option<&'a Value> {
        let value = self.value.get(key)?;
        self.seen.insert(key.into());
        Some(value)
    }

    fn text(&mut self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    fn octets(&mut self, key: &str) -> Option<Vec<u8>> {
        self.text(key).map(hex)
    }

    fn octet(&mut self, key: &str) -> Option<u8> {
        self.number(key).map(|n| u8::try_from(n).expect("an octet"))
    }

    fn number(&mut self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    fn flag(&mut self, key: &str) -> bool {
        self.number(key).unwrap_or_else(|| panic!("{} has no {key}", self.id())) == 1
    }

    fn must<T>(&self, value: Option<T>, key: &str) -> T {
        value.unwrap_or_else(|| panic!("{} has no {key}", self.id()))
    }
}

/// Runs `look` over the rows of a table, of which there are `count`; each must look at all fields of its row.
fn each(table: &str, count: usize, mut look: impl FnMut(&mut Row<'_>)) {
    let vectors = vectors();
    let rows = vectors[table].as_array().expect("a table");
    assert_eq!(rows.len(), count, "{table}");
    for value in rows {
        let mut row = Row { value, seen: ["id".into(), "source".into()].into() };
        look(&mut row);
        let keys = value.as_object().expect("an object").keys();
        let missed: Vec<_> = keys.filter(|k| !row.seen.contains(*k)).collect();
        assert!(missed.is_empty(), "{} of {table}: nobody looked at {missed:?}", row.id());
    }
}

/// The address that a row names, in the type that it says or that follows from its spelling.
fn address(name: &str, ton: Option<u8>) -> Address {
    match ton {
        Some(5) => Address::of_name(name),
        _ if name.is_empty() => Some(Address::NONE),
        _ => Number::parse(name.as_bytes()).and_then(|n| Address::of_number(&n)),
    }
    .unwrap_or_else(|| panic!("{name} is no address"))
}

fn stamp(row: &mut Row<'_>, key: &str) -> Timestamp {
    let iso = row.text(key);
    of_iso(row.must(iso, key))
}

/// The time stamp of `2020-12-16T10:30:45+01:00`.
fn of_iso(iso: &str) -> Timestamp {
    let time: jiff::Timestamp = iso.parse().expect("a time");
    let (sign, zone) = iso.split_at(19).1.split_at(1);
    let minutes: i64 =
        zone[..2].parse::<i64>().expect("hours") * 60 + zone[3..].parse::<i64>().expect("minutes");
    let quarters = if sign == "-" { -minutes / 15 } else { minutes / 15 };
    Timestamp::of_unix(UnixTime::from_micros(time.as_microsecond()), quarters)
}

/// User data made from what a row says about it.
fn user_data(row: &mut Row<'_>) -> UserDataBuf {
    let dcs = Dcs(row.octet("TP_DCS").unwrap_or(0));
    let header = row.octets("UDH").unwrap_or_default();
    let elements = header.get(1..).unwrap_or_default();
    let made = match row.octets("data") {
        Some(data) => UserDataBuf::of_octets(dcs, elements, &data),
        None => {
            let text = row.text("text");
            UserDataBuf::of_text(dcs, elements, row.must(text, "text"))
        }
    };
    let made = row.must(made, "user data that can be made");
    let view = made.view();
    if let Some(length) = row.octet("TP_UDL") {
        assert_eq!(view.length(), length, "{}", row.id());
    }
    if let Some(bits) = row.number("fill_bits") {
        let packed = dcs.counts_septets();
        assert_eq!(if packed { septets::fill_bits(header.len()) } else { 0 } as u64, bits, "{}", row.id());
    }
    if let Some(encoding) = row.text("encoding") {
        assert_eq!(name_of(dcs.alphabet()), encoding, "{}", row.id());
    }
    made
}

fn name_of(alphabet: Alphabet) -> &'static str {
    match alphabet {
        Alphabet::Gsm7 => "gsm7",
        Alphabet::Octets => "8bit",
        Alphabet::Ucs2 => "ucs2",
    }
}

/// What user data that was read says must be what the row says.
fn check_user_data(row: &mut Row<'_>, read: UserData<'_>) {
    match row.octets("data") {
        Some(data) => assert_eq!(read.payload(), data, "{}", row.id()),
        None => assert_eq!(read.text().as_deref(), row.text("text"), "{}", row.id()),
    }
    let header = row.octets("UDH");
    assert_eq!(read.header().map(|h| h.octets()), header.as_deref().map(|h| &h[1..]), "{}", row.id());
    if let Some(header) = read.header() {
        let elements: usize = header.elements().map(|e| 2 + e.data.len()).sum();
        assert_eq!(elements, header.octets().len(), "{}: an element is lost", row.id());
    }
}

fn validity(row: &mut Row<'_>) -> Option<Validity> {
    let relative_validity = row.octet("TP_VP_octet").map(Validity::Relative);
    let seven = |octets: Vec<u8>| <[u8; 7]>::try_from(octets).expect("seven octets");
    let absolute = row.octets("TP_VP_absolute").map(|o| Validity::Absolute(Timestamp(seven(o))));
    let enhanced = row.octets("TP_VP_enhanced").map(|o| Validity::Enhanced(Enhanced(seven(o))));
    let found = relative_validity.or(absolute).or(enhanced);
    let format = match found {
        None => 0,
        Some(Validity::Enhanced(_)) => 1,
        Some(Validity::Relative(_)) => 2,
        Some(Validity::Absolute(_)) => 3,
    };
    assert_eq!(row.number("TP_VPF"), Some(format), "{}", row.id());
    if let Some(minutes) = row.number("validity_minutes") {
        let at = UnixTime::from_micros(0);
        let end = found.and_then(|v| v.end(at)).expect("an end");
        assert_eq!(end.as_secs() as u64, minutes * 60, "{}", row.id());
    }
    found
}

fn submit<'a>(row: &mut Row<'_>, data: &'a UserDataBuf) -> Tpdu<'a> {
    let destination = row.text("TP_DA");
    Tpdu::Submit(Submit {
        reject_duplicates: row.flag("TP_RD"),
        status_report: row.flag("TP_SRR"),
        reference: row.octet("TP_MR").expect("TP_MR"),
        pid: Pid(row.octet("TP_PID").expect("TP_PID")),
        validity: validity(row),
        ..Submit::new(0, address(row.must(destination, "TP_DA"), None), data.view())
    })
}

fn deliver<'a>(row: &mut Row<'_>, data: &'a UserDataBuf) -> Tpdu<'a> {
    let originator = row.text("TP_OA");
    let ton = row.octet("TP_OA_ton");
    Tpdu::Deliver(Deliver {
        more_messages: !row.flag("TP_MMS"),
        loop_prevention: false,
        status_report: row.flag("TP_SRI"),
        reply_path: false,
        originator: address(row.must(originator, "TP_OA"), ton),
        pid: Pid(row.octet("TP_PID").expect("TP_PID")),
        timestamp: stamp(row, "TP_SCTS"),
        user_data: data.view(),
    })
}

/// The parameters that TP_PI announces.
fn parameters<'a>(row: &mut Row<'_>, data: &'a Option<UserDataBuf>) -> Option<Parameters<'a>> {
    let indicator = row.get("TP_PI").and_then(Value::as_u64)?;
    let parameters = Parameters {
        // A status report's row does not tell the value.
        pid: row.octet("TP_PID").or((indicator & 1 != 0).then_some(0)).map(Pid),
        dcs: row.octet("TP_DCS").map(Dcs),
        user_data: data.as_ref().map(UserDataBuf::view),
    };
    let announced = [parameters.pid.is_some(), parameters.dcs.is_some(), parameters.user_data.is_some()];
    let bits = announced.iter().enumerate().map(|(bit, there)| u64::from(*there) << bit).sum::<u64>();
    assert_eq!(bits, indicator, "{}", row.id());
    Some(parameters)
}

fn status_report<'a>(row: &mut Row<'_>, data: &'a Option<UserDataBuf>) -> Tpdu<'a> {
    let recipient = row.text("TP_RA");
    Tpdu::StatusReport(StatusReport {
        more_messages: !row.flag("TP_MMS"),
        loop_prevention: false,
        of_command: row.flag("TP_SRQ"),
        reference: row.octet("TP_MR").expect("TP_MR"),
        recipient: address(row.must(recipient, "TP_RA"), None),
        timestamp: stamp(row, "TP_SCTS"),
        discharge: stamp(row, "TP_DT"),
        status: Status(row.octet("TP_ST").expect("TP_ST")),
        parameters: parameters(row, data),
    })
}

/// Way and carrier of a row's TPDU.
fn place(row: &mut Row<'_>) -> (Direction, Carrier) {
    let direction = match row.text("direction") {
        Some("MO") => Direction::Up,
        Some("MT") => Direction::Down,
        other => panic!("{}: {other:?}", row.id()),
    };
    let kind = row.text("type").expect("a type");
    let carrier = match (kind.contains("RP-ERROR"), kind.contains("RP-ACK")) {
        (true, _) => Carrier::Error,
        (_, true) => Carrier::Ack,
        _ => Carrier::Data,
    };
    (direction, carrier)
}

/// The user data of a row that has some, and the TPDU of its fields.
fn with_made(row: &mut Row<'_>, look: impl FnOnce(&mut Row<'_>, Tpdu<'_>)) {
    let kind = row.text("type").expect("a type");
    let has_data = row.get("text").is_some() || row.get("data").is_some();
    let data = has_data.then(|| user_data(row));
    let failure = row.octet("TP_FCS").map(FailureCause);
    let made = match kind.split(' ').next() {
        Some("SMS-SUBMIT") => submit(row, data.as_ref().expect("user data")),
        Some("SMS-DELIVER") => deliver(row, data.as_ref().expect("user data")),
        Some("SMS-STATUS-REPORT") => status_report(row, &data),
        Some("SMS-DELIVER-REPORT") => {
            let parameters = parameters(row, &data).expect("TP_PI");
            Tpdu::DeliverReport(DeliverReport { failure, parameters })
        }
        Some("SMS-SUBMIT-REPORT") => {
            let parameters = parameters(row, &data).expect("TP_PI");
            Tpdu::SubmitReport(SubmitReport { failure, timestamp: stamp(row, "TP_SCTS"), parameters })
        }
        other => panic!("{}: {other:?}", row.id()),
    };
    look(row, made);
}

#[test]
fn every_tpdu_is_read_and_made() {
    each("tpdu", 55, |row| {
        let octets = row.octets("tpdu").expect("octets");
        assert_eq!(row.number("len"), Some(octets.len() as u64));
        let (direction, carrier) = place(row);
        let read = Tpdu::parse(&octets, direction, carrier).unwrap_or_else(|e| panic!("{}: {e}", row.id()));
        assert_eq!(read.to_vec(), octets, "{}", row.id());
        with_made(row, |row, made| {
            assert_eq!(read, made, "{}", row.id());
            assert_eq!(made.to_vec(), octets, "{}", row.id());
        });
        let data = match read {
            Tpdu::Submit(tpdu) => Some(tpdu.user_data),
            Tpdu::Deliver(tpdu) => Some(tpdu.user_data),
            Tpdu::DeliverReport(tpdu) => tpdu.parameters.user_data,
            Tpdu::SubmitReport(tpdu) => tpdu.parameters.user_data,
            Tpdu::StatusReport(tpdu) => tpdu.parameters.and_then(|p| p.user_data),
            Tpdu::Command(_) => None,
        };
        if let Some(data) = data {
            check_user_data(row, data);
        }
        if let Some(indicated) = row.number("TP_UDHI") {
            assert_eq!(data.map(|d| u64::from(d.has_header())), Some(indicated), "{}", row.id());
        }
    });
}

#[test]
fn every_rpdu_is_read_and_made() {
    each("rpdu", 47, |row| {
        let octets = row.octets("rpdu").expect("octets");
        let read = Rpdu::parse(&octets).unwrap_or_else(|e| panic!("{}: {e}", row.id()));
        let kind = row.octet("RP_MTI").expect("a type");
        let direction = if kind % 2 == 0 { Direction::Up } else { Direction::Down };
        let tpdu = row.octets("tpdu");
        let user_data = tpdu.as_deref();
        let _ = row.get("tp_ref");
        let rp_address = |row: &mut Row<'_>, key: &str| row.text(key).map(|name| address(name, None));
        let message = match (row.text("type"), kind) {
            (Some("RP-DATA"), 0 | 1) => Rp::Data {
                originator: rp_address(row, "RP_OA"),
                destination: rp_address(row, "RP_DA"),
                user_data: user_data.expect("a TPDU"),
            },
            (Some("RP-ACK"), 2 | 3) => Rp::Ack { user_data },
            (Some("RP-ERROR"), 4 | 5) => Rp::Error {
                cause: RpCause(row.octet("RP_Cause").expect("a cause")),
                diagnostic: row.octets("diagnostic").map(|d| d[0]),
                user_data,
            },
            (Some("RP-SMMA"), 6) => Rp::Smma,
            other => panic!("{}: {other:?}", row.id()),
        };
        let made = Rpdu { direction, reference: row.octet("RP_MR").expect("a reference"), message };
        assert_eq!(read, made, "{}", row.id());
        assert_eq!(made.to_vec(), octets, "{}", row.id());
    });
}

#[test]
fn every_cpdu_is_read_and_made() {
    each("cpdu", 14, |row| {
        let octets = row.octets("cpdu").expect("octets");
        let rpdu = row.octets("rpdu");
        let message = match row.text("type") {
            Some("CP-DATA") => Cp::Data(rpdu.as_deref().expect("an RPDU")),
            Some("CP-ACK") => Cp::Ack,
            Some("CP-ERROR") => Cp::Error(CpCause(row.octet("CP_Cause").expect("a cause"))),
            other => panic!("{}: {other:?}", row.id()),
        };
        let value = row.octet("TI").expect("a transaction");
        let made = Cpdu { transaction: Transaction { value, to_originator: row.flag("TI_flag") }, message };
        assert_eq!(Cpdu::parse(&octets), Ok(made), "{}", row.id());
        assert_eq!(made.to_vec(), octets, "{}", row.id());
    });
}

#[test]
fn every_text_is_packed_and_unpacked() {
    each("gsm7_packing", 25, |row| {
        let text = row.text("text").expect("a text");
        let packed = row.octets("packed").expect("octets");
        let count = row.number("septets").expect("a count") as usize;
        let fill = row.number("fill_bits").expect("fill bits") as usize;
        let (mut coded, mut octets, mut again) = (Vec::new(), Vec::new(), String::new());
        assert!(alphabet::encode_text(text, &mut coded), "{}", row.id());
        assert_eq!(coded.len(), count, "{}", row.id());
        septets::pack(&coded, fill, &mut octets);
        assert_eq!(octets, packed, "{}", row.id());
        alphabet::decode(septets::unpack(&packed, fill, count), &mut again);
        assert_eq!(again, text, "{}", row.id());
    });
}

#[test]
fn every_time_stamp_is_read_and_made() {
    each("timestamps", 7, |row| {
        let octets = row.octets("hex").expect("octets");
        let iso = row.text("iso").expect("a time");
        let read = Timestamp(octets.try_into().expect("seven octets"));
        assert_eq!(read.to_string(), iso);
        assert_eq!(of_iso(iso), read, "{}", row.id());
    });
}

#[test]
fn every_relative_validity_is_read_and_made() {
    each("relative_validity", 14, |row| {
        let octet = row.octet("octet").expect("an octet");
        let minutes = row.number("minutes").expect("minutes");
        assert_eq!(relative(octet).as_secs(), minutes * 60, "{}", row.id());
        assert_eq!(relative_octet(relative(octet)), octet, "{}", row.id());
    });
}

#[test]
fn every_address_is_read_and_made() {
    each("addresses", 15, |row| {
        let ton = row.octet("ton");
        let name = row.get("number").expect("a number").as_str();
        let made = name.map(|n| address(n, ton));
        let mut out = Vec::new();
        let octets = if let Some(octets) = row.octets("tp_address") {
            let read = Address::parse_tp(&mut Reader::new(&octets), "address").expect("an address");
            assert_eq!((Some(read), Some(read.type_of_number())), (made, ton), "{}", row.id());
            read.write_tp(&mut out);
            octets
        } else {
            let octets = row.octets("rp_address").expect("octets");
            let read = Address::parse_rp(&mut Reader::new(&octets), "address").expect("an address");
            assert_eq!(read, made, "{}", row.id());
            match read {
                Some(read) => read.write_rp(&mut out),
                None => out.push(0),
            }
            octets
        };
        assert_eq!(out, octets, "{}", row.id());
        assert_eq!(made.map(|a| a.to_string()).as_deref(), name, "{}", row.id());
    });
}

#[test]
fn every_coding_scheme_means_what_the_table_says() {
    each("dcs", 205, |row| {
        let dcs = Dcs(row.octet("dcs").expect("an octet"));
        let group = match dcs.group() {
            Group::General => "general",
            Group::AutoDelete => "auto-delete",
            Group::Reserved => "reserved(treat as gsm7)",
            Group::WaitingDiscard => "mwi-discard",
            Group::WaitingStore => "mwi-store-gsm7",
            Group::WaitingStoreUcs2 => "mwi-store-ucs2",
            Group::Class => "class",
        };
        assert_eq!(row.text("group"), Some(group), "{}", row.id());
        let alphabet = row.text("alphabet").expect("an alphabet");
        let alphabet = alphabet.strip_prefix("reserved(").map_or(alphabet, |a| a.trim_end_matches(')'));
        assert_eq!(alphabet, name_of(dcs.alphabet()), "{}", row.id());
        assert_eq!(row.get("compressed"), Some(&dcs.is_compressed().into()), "{}", row.id());
        assert_eq!(row.octet("cls"), dcs.class(), "{}", row.id());
        let waiting = dcs.waiting().map(|(active, kind)| {
            let kind = match kind {
                Waiting::Voicemail => "voicemail",
                Waiting::Fax => "fax",
                Waiting::Email => "email",
                Waiting::Other => "other",
            };
            (active, kind)
        });
        let active = row.get("indication_active").and_then(Value::as_bool);
        assert_eq!(active.zip(row.text("indication")), waiting, "{}", row.id());
    });
}

#[test]
fn the_tables_of_the_alphabet_are_those_of_the_specification() {
    let vectors = vectors();
    let table = |name: &str| vectors["tables"][name].as_object().expect("a table").clone();
    let (default, extension) = (table("gsm7_default"), table("gsm7_extension"));
    assert_eq!((default.len(), extension.len()), (128, 10));
    let decoded = |septets: &[u8]| {
        let mut text = String::new();
        alphabet::decode(septets.iter().copied(), &mut text);
        text
    };
    for (code, text) in default.iter().filter(|(code, _)| *code != "1b") {
        assert_eq!(Some(decoded(&hex(code)).as_str()), text.as_str(), "{code}");
    }
    for (code, text) in &extension {
        assert_eq!(Some(decoded(&[&[0x1b], &hex(code)[..]].concat()).as_str()), text.as_str(), "{code}");
    }
}

/// All PDUs of the vectors, and a COMMAND, which they have not.
fn corpus() -> Vec<Vec<u8>> {
    let vectors = vectors();
    let mut all = Vec::new();
    for (table, key) in [("tpdu", "tpdu"), ("rpdu", "rpdu"), ("cpdu", "cpdu")] {
        let rows = vectors[table].as_array().expect("a table");
        all.extend(rows.iter().map(|row| hex(row[key].as_str().expect("octets"))));
    }
    let destination = address("+33612345678", None);
    let command = Command {
        status_report: true,
        has_header: false,
        reference: 7,
        pid: Pid::PLAIN,
        command: CommandType::DELETE,
        message_number: 6,
        destination,
        data: b"x",
    };
    all.push(Tpdu::Command(command).to_vec());
    assert_eq!(all.len(), 55 + 47 + 14 + 1);
    all
}

#[test]
fn octets_cut_anywhere_and_with_any_bit_flipped_are_read_and_written_the_same() {
    for octets in corpus() {
        for end in 0..=octets.len() {
            read_all::pdu(&octets[..end]);
        }
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            read_all::pdu(&flipped);
        }
    }
}

/// Mutants of the vectors.
const MUTANTS: u64 = if cfg!(debug_assertions) { 60_000 } else { 2_000_000 };

#[test]
fn mutated_octets_are_read_and_written_the_same() {
    let corpus = corpus();
    for seed in 0..MUTANTS {
        let mut rng = Rng::from_seed(seed);
        let mut octets = corpus[mutate::below(&mut rng, corpus.len())].clone();
        let other = &corpus[mutate::below(&mut rng, corpus.len())];
        for _ in 0..=rng.below(5) {
            mutate::mutate(&mut rng, &mut octets, other);
        }
        read_all::pdu(&octets);
    }
}

#[test]
fn a_tpdu_cut_short_is_refused_with_the_part_where_it_ends() {
    let mut refused = 0;
    each("tpdu", 55, |row| {
        let octets = row.octets("tpdu").expect("octets");
        let (direction, carrier) = place(row);
        let keys: Vec<String> = row.value.as_object().expect("an object").keys().cloned().collect();
        row.seen.extend(keys);
        let whole = Tpdu::parse(&octets, direction, carrier);
        for end in 0..octets.len() {
            match Tpdu::parse(&octets[..end], direction, carrier) {
                Err(error) => refused += usize::from(error.to_string().starts_with("it ends inside ")),
                // What may be left out at the end is left out: the indicator that says that nothing follows.
                Ok(Tpdu::DeliverReport(report)) => assert_eq!(report.parameters, Parameters::NONE),
                Ok(short) => assert_ne!(Ok(short), whole, "{} to {end}", row.id()),
            }
        }
    });
    assert!(refused > 1_000, "{refused}");
}
