use super::*;
use crate::base::rng::Rng;
use crate::wire::identities::Imsi;
use serde_json::Value;
use std::hint::black_box;

fn file() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sgsap.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    assert!(digits.len().is_multiple_of(2), "{text}");
    digits.chunks(2).map(|d| u8::from_str_radix(&d.iter().collect::<String>(), 16).unwrap()).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// The vectors: name, octets, type, fields.
fn rows() -> Vec<(String, Vec<u8>, Kind, Value)> {
    let file = file();
    let rows = file["vectors"].as_array().unwrap().iter().map(|row| {
        let name = row["message"].as_str().unwrap().strip_prefix("SGsAP-").unwrap();
        let kind = Kind::all().find(|k| k.name() == name).unwrap_or_else(|| panic!("{name}"));
        (row["id"].to_string(), octets(row["hex"].as_str().unwrap()), kind, row["fields"].clone())
    });
    rows.collect()
}

fn area(plmn: Plmn, code: u32) -> Value {
    let text = plmn.to_string();
    let (mcc, mnc) = text.split_once('-').unwrap();
    serde_json::json!([mcc, mnc, code])
}

/// What one field of the vectors is in a message.
fn field(m: &Message<'_>, name: &str) -> Value {
    let octets = |tag: Tag| hex(m.value(tag).unwrap()).into();
    let octet = |tag: Tag| m.value(tag).unwrap()[0].into();
    let lai = |lai: Lai| area(lai.plmn, lai.lac.into());
    match name {
        "IMSI" => m.imsi().unwrap().as_str().into(),
        "MME_name" => m.mme_name().unwrap().to_string().into(),
        "VLR_name" => m.vlr_name().unwrap().to_string().into(),
        "new_LAI" | "LAI" => lai(m.lai().unwrap()),
        "old_LAI" => lai(m.old_lai().unwrap()),
        "TAI" => area(m.tai().unwrap().plmn, m.tai().unwrap().tac.into()),
        "ECGI" => area(m.ecgi().unwrap().plmn, m.ecgi().unwrap().eci),
        "IMEISV" => m.imeisv().unwrap().as_str().into(),
        "TMSI" => format!("{:08x}", m.tmsi().unwrap()).into(),
        "EPS_LU_type" => octet(Tag::UpdateType),
        "TMSI_status" => u8::from(m.has_valid_tmsi().unwrap()).into(),
        "EPS_detach_type" => octet(Tag::EpsDetachType),
        "nonEPS_detach_type" => octet(Tag::NonEpsDetachType),
        "service_indicator" => m.service().unwrap().code().into(),
        "UE_EMM_mode" => u8::from(m.is_emm_connected().unwrap()).into(),
        "SGs_cause" => m.sgs_cause().unwrap().0.into(),
        "reject_cause" => m.reject_cause().unwrap().0.into(),
        "NAS_container" => hex(m.nas_container().unwrap()).into(),
        "erroneous_message" => hex(m.erroneous_message().unwrap()).into(),
        "UE_time_zone" => octets(Tag::UeTimeZone),
        "classmark2" => octets(Tag::Classmark2),
        "CLI" => octets(Tag::Cli),
        "MM_information" => octets(Tag::MmInformation),
        "what" => "CP-".into(),
        other => panic!("the field {other} is not read"),
    }
}

/// Fields in an order that keeps that of every message (TS 29.118 8).
const ORDER: &[(&str, Tag)] = &[
    ("IMSI", Tag::Imsi),
    ("MME_name", Tag::MmeName),
    ("VLR_name", Tag::VlrName),
    ("EPS_LU_type", Tag::UpdateType),
    ("EPS_detach_type", Tag::EpsDetachType),
    ("nonEPS_detach_type", Tag::NonEpsDetachType),
    ("service_indicator", Tag::ServiceIndicator),
    ("NAS_container", Tag::NasContainer),
    ("reject_cause", Tag::RejectCause),
    ("SGs_cause", Tag::SgsCause),
    ("erroneous_message", Tag::ErroneousMessage),
    ("MM_information", Tag::MmInformation),
    ("TMSI", Tag::Tmsi),
    ("CLI", Tag::Cli),
    ("new_LAI", Tag::Lai),
    ("LAI", Tag::Lai),
    ("old_LAI", Tag::Lai),
    ("TMSI_status", Tag::TmsiStatus),
    ("IMEISV", Tag::Imeisv),
    ("UE_time_zone", Tag::UeTimeZone),
    ("classmark2", Tag::Classmark2),
    ("TAI", Tag::Tai),
    ("ECGI", Tag::Ecgi),
    ("UE_EMM_mode", Tag::EmmMode),
];

/// Writes one field of the vectors.
fn add<'b>(w: Writer<'b>, tag: Tag, value: &Value) -> Writer<'b> {
    let text = || value.as_str().unwrap();
    let area = || {
        let part = |i: usize| value[i].as_str().unwrap();
        (Plmn::new(part(0), part(1)).unwrap(), value[2].as_u64().unwrap() as u32)
    };
    match tag {
        Tag::Imsi => w.imsi(&Imsi::parse(text().as_bytes()).unwrap()),
        Tag::MmeName | Tag::VlrName => w.name(tag, &NodeName::of_text(text()).unwrap()),
        Tag::Lai => w.element(tag, &Lai { plmn: area().0, lac: area().1 as u16 }.octets()),
        Tag::Tai => w.element(tag, &Tai { plmn: area().0, tac: area().1 as u16 }.octets()),
        Tag::Ecgi => w.element(tag, &Ecgi { plmn: area().0, eci: area().1 }.octets()),
        Tag::Imeisv => {
            let swapped: Vec<u8> = octets(text()).iter().map(|o| o.rotate_left(4)).collect();
            w.element(tag, &swapped)
        }
        _ => match value.as_u64() {
            Some(number) => w.octet(tag, number as u8),
            None => w.element(tag, &octets(text())),
        },
    }
}

#[test]
fn every_vector_is_read_as_its_fields_say() {
    let rows = rows();
    assert_eq!(rows.len(), 45);
    for (id, octets, kind, fields) in rows {
        let m = Message::parse(&octets).unwrap_or_else(|e| panic!("{id}: {e}"));
        assert_eq!(m.kind(), kind, "{id}");
        for (name, value) in fields.as_object().unwrap().iter().filter(|(name, _)| *name != "what") {
            assert_eq!(&field(&m, name), value, "{id} {name}");
        }
    }
}

#[test]
fn every_vector_is_written_from_its_fields() {
    let mut out = Vec::new();
    for (id, octets, kind, fields) in rows() {
        let mut w = Writer::new(&mut out, kind);
        for (name, tag) in ORDER {
            if let Some(value) = fields.get(name) {
                w = add(w, *tag, value);
            }
        }
        assert_eq!(hex(&out), hex(&octets), "{id}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_as_the_file_says() {
    let expected = |id: &str| match id {
        "neg-1" => Err(Problem::Invalid(Kind::LocationUpdateRequest, Tag::MmeName)),
        "neg-2" => Err(Problem::Missing(Kind::UplinkUnitdata, Tag::Imsi)),
        "neg-3" => Err(Problem::UnknownType(0xee)),
        "neg-5" => Ok(Kind::ServiceRequest),
        "neg-6" => Err(Problem::Empty),
        "neg-7" => Err(Problem::Missing(Kind::LocationUpdateRequest, Tag::Imsi)),
        other => panic!("{other} has no verdict"),
    };
    let file = file();
    for row in file["negative"].as_array().unwrap() {
        let (id, octets) = (row["id"].as_str().unwrap(), octets(row["hex"].as_str().unwrap()));
        let read = Message::parse(&octets).map(|m| m.kind()).map_err(|e| e.problem);
        assert_eq!(read, expected(id), "{id}");
    }
}

#[test]
fn an_error_names_message_element_and_phone() {
    let error = Message::parse(&octets("09010809101010325476980937")).unwrap_err();
    assert_eq!(error.to_string(), "LOCATION-UPDATE-REQUEST with an invalid MME name");
    assert_eq!(error.imsi.unwrap().as_str(), "001010123456789");
    assert_eq!(error.problem.cause(), Some(SgsCause::INVALID_MANDATORY));
    let error = Message::parse(&octets("0816028904")).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.imsi), ("UPLINK-UNITDATA without IMSI", None));
    assert_eq!(error.problem.cause(), Some(SgsCause::MISSING_MANDATORY));
    let error = Message::parse(&octets("1c0108")).unwrap_err();
    assert_eq!(error.to_string(), "message type 0x1c is unknown");
    assert_eq!(error.problem.cause(), Some(SgsCause::MESSAGE_UNKNOWN));
}

#[test]
fn a_status_that_cannot_be_read_has_no_cause_to_answer_it_with() {
    for text in ["1d", "1d080108", "1d08001b03", "1d1b00080108"] {
        let error = Message::parse(&octets(text)).unwrap_err();
        assert_eq!(error.problem.cause(), None, "{text}");
    }
    assert_eq!(Problem::Empty.cause(), None);
}

#[test]
fn elements_stand_in_any_order_and_unknown_or_broken_optional_ones_are_passed_over() {
    for (id, octets, kind, _) in rows() {
        let m = Message::parse(&octets).unwrap();
        // a location update has two areas, the order of which says which is which
        if m.old_lai().is_some() {
            continue;
        }
        let mut elements: Vec<(u8, &[u8])> = m.elements().collect();
        elements.reverse();
        elements.insert(0, (0x7e, b"of a later version"));
        let mut turned = vec![kind.code()];
        for (tag, value) in &elements {
            turned.extend([*tag, value.len() as u8]);
            turned.extend(*value);
        }
        let again = Message::parse(&turned).unwrap_or_else(|e| panic!("{id}: {e}"));
        for (tag, value) in m.elements() {
            assert_eq!(again.value(Tag::of_code(tag).unwrap()), Some(value), "{id}");
        }
    }
    // an IMEISV of two octets, a TAI of none, and half an element at the end
    let m = octets("0801080910101032547698150212342300160289041a");
    let m = Message::parse(&m).unwrap();
    assert_eq!((m.imeisv(), m.tai(), m.nas_container()), (None, None, Some(&[0x89, 4][..])));
}

#[test]
fn of_two_elements_with_one_tag_the_first_counts() {
    let m = octets("0801080910101032547698160289041602090116029901");
    assert_eq!(Message::parse(&m).unwrap().nas_container(), Some(&[0x89, 4][..]));
}

#[test]
fn identities_have_even_and_odd_digits_and_an_imeisv_two_forms() {
    let mut out = Vec::new();
    for digits in ["001010123456789", "00101012345678", "310410", "2620112"] {
        let imsi = Imsi::parse(digits.as_bytes()).unwrap();
        Writer::of(&mut out, Kind::AlertRequest, &imsi);
        assert_eq!(Message::parse(&out).unwrap().imsi(), Some(imsi), "{digits}");
        let identity = MobileIdentity::Imsi(imsi);
        assert_eq!(MobileIdentity::parse(&identity.octets()), Some(identity));
    }
    let tmsi = MobileIdentity::Tmsi(0xc011_2233);
    assert_eq!(
        (hex(&tmsi.octets()), MobileIdentity::parse(&tmsi.octets())),
        ("f4c0112233".into(), Some(tmsi))
    );
    assert_eq!(imeisv(&octets("5396833065340819")).unwrap().as_str(), "3569380356438091");
    assert_eq!(imeisv(&octets("3365390853468390f1")).unwrap().as_str(), "3569380356438091");
    assert_eq!(imeisv(&octets("ff96833065340819")), None);
    for bad in ["0d01080a10101032547698", "0d0108f910101032547698", "0d0103091010", "0d01080910101032ff7698"]
    {
        assert!(Message::parse(&octets(bad)).is_err(), "{bad}");
    }
}

#[test]
fn names_are_labels() {
    let name = NodeName::of_text("vlr.ims.example.org.").unwrap();
    assert_eq!(hex(name.name().octets()), "03766c7203696d73076578616d706c65036f7267");
    assert_eq!(
        Name::parse(&[name.name().octets(), &[0]].concat()).unwrap().to_string(),
        "vlr.ims.example.org"
    );
    for bad in ["", ".", "a..b", "a b", "é", &"x".repeat(64), &["abcdefgh"; 30].join(".")] {
        assert_eq!(NodeName::of_text(bad), None, "{bad}");
    }
    for bad in [&b""[..], b"\x00", b"\x04abc", b"\x03abc\x00\x01d", b"\x01\n"] {
        assert_eq!(Name::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn a_long_erroneous_message_is_cut() {
    let (mut out, long) = (Vec::new(), [7; 300]);
    let w = Writer::new(&mut out, Kind::Status).octet(Tag::SgsCause, 9);
    w.element(Tag::ErroneousMessage, &long);
    assert_eq!(Message::parse(&out).unwrap().erroneous_message(), Some(&long[..255]));
}

#[test]
fn what_is_told_names_each_element() {
    let (_, octets, ..) = rows().into_iter().find(|(id, ..)| id.contains("sgs-2\"")).unwrap();
    let m = Message::parse(&octets).unwrap();
    assert_eq!(m.to_string(), "LOCATION-UPDATE-REQUEST imsi=001010123456789");
    let text = Details(m).to_string();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "IMSI: 001010123456789",
            "MME name: mmec01.mmegi8001.mme.epc.mnc001.mcc001.3gppnetwork.org",
            "EPS location update type: normal location update",
            "location area identifier: 001-01-0002",
            "location area identifier: 001-01-0001",
            "TMSI status: valid TMSI",
            "IMEISV: 3569380356438091",
            "TAI: 001-01-0001",
            "E-CGI: 001-01-1a2d001",
        ]
    );
    let text = |hex: &str| {
        let octets = super::tests::octets(hex);
        let text = Details(Message::parse(&octets).unwrap()).to_string();
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(
        text("0801080910101032547698160989010602ab41020000"),
        "NAS message container: CP-DATA, transaction 0 of its receiver, RP-ACK 171: 89010602ab41020000"
    );
    assert_eq!(
        text("070108091010103254769816039910161603ffffff"),
        "NAS message container: ffffff",
        "what is no CPDU"
    );
    let m = [&b"\x1b\x01\x08\x09\x10\x10\x10\x32\x54\x76\x98\x08\x01\x03\x7e\x01\xab"[..]].concat();
    let m = Message::parse(&m).unwrap();
    assert_eq!(m.to_string(), "RELEASE-REQUEST imsi=001010123456789 cause=3 (IMSI unknown)");
    assert!(Details(m).to_string().ends_with("\nelement 0x7e: ab\n"));
}

/// Reads everything that can be read.
fn read_all(octets: &[u8]) {
    match Message::parse(octets) {
        Ok(m) => {
            black_box((m.imsi(), m.mme_name(), m.vlr_name(), m.lai(), m.old_lai(), m.tai(), m.ecgi()));
            black_box((m.imeisv(), m.tmsi(), m.mobile_identity(), m.has_valid_tmsi(), m.sgs_cause()));
            black_box((m.reject_cause(), m.service(), m.update_type(), m.eps_detach(), m.non_eps_detach()));
            black_box((m.is_emm_connected(), m.nas_container(), m.erroneous_message()));
            black_box((m.to_string(), Details(m).to_string()));
            assert!(m.kind().mandatory().iter().all(|tag| m.value(*tag).is_some()));
        }
        Err(e) => {
            black_box((e.to_string(), e.problem.cause()));
        }
    }
}

#[test]
fn no_cut_and_no_flipped_bit_panics_and_what_is_read_is_whole() {
    for (_, octets, ..) in rows() {
        for end in 0..octets.len() {
            read_all(&octets[..end]);
        }
        for bit in 0..octets.len() * 8 {
            let mut flipped = octets.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            read_all(&flipped);
        }
    }
}

#[test]
fn no_random_octets_panic() {
    let mut rng = Rng::from_seed(29118);
    let types: Vec<u8> = Kind::all().map(Kind::code).collect();
    for _ in 0..20_000 {
        let mut octets: Vec<u8> = (0..rng.below(80)).map(|_| rng.below(256) as u8).collect();
        if let Some(first) = octets.first_mut() {
            *first = types[rng.below(types.len() as u64) as usize];
        }
        // lengths that mostly fit, so that more than the first element is read
        for i in (2..octets.len()).step_by(5) {
            octets[i] = rng.below(4) as u8;
        }
        read_all(&octets);
    }
}

#[test]
fn what_is_copied_element_by_element_is_the_same_message() {
    let mut out = Vec::new();
    for (id, octets, kind, _) in rows() {
        let m = Message::parse(&octets).unwrap();
        let mut w = Writer::new(&mut out, kind);
        for (tag, value) in m.elements() {
            w = w.element(Tag::of_code(tag).unwrap(), value);
        }
        assert_eq!(hex(&out), hex(&octets), "{id}");
    }
}

#[test]
fn every_type_has_its_sender_and_its_mandatory_elements_from_the_imsi_on() {
    assert_eq!(Kind::all().count(), 25);
    for kind in Kind::all() {
        assert_eq!(Kind::of_code(kind.code()), Some(kind));
        let first = kind.mandatory().first();
        match kind {
            Kind::ResetIndication | Kind::ResetAck | Kind::Status => assert_eq!(kind.sender(), Sender::Both),
            _ => assert_eq!(first, Some(&Tag::Imsi), "{kind:?}"),
        }
    }
    assert_eq!(Kind::of_code(0x1c), None);
}
