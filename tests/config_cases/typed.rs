//! The typed result: every form of every property that has several, defaults, derived identities, keys.

use crate::{load_text, said};
use imsbox::api::log_options::LogConfig;
use imsbox::config::model::*;
use imsbox::config::{Loaded, MemoryFiles, Severity, load};
use imsbox::proto::flow::LocalId;
use imsbox::proto::media::table::Treatment;
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Policy};
use std::path::Path;
use std::time::Duration;

const K: &str = "00112233445566778899aabbccddeeff";

/// The configuration of a text that has a SIP address added; nothing may be wrong with it.
#[track_caller]
fn config(text: &str) -> Config {
    let loaded = load_text(&format!("sip_addr: \"127.0.0.1\",\n{text}"));
    let bad = loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity < Severity::Info);
    assert!(!bad, "{}", said(&loaded));
    loaded.config.expect("a configuration")
}

#[track_caller]
fn user(text: &str) -> User {
    let mut users = config(&format!("ue_db: [{{ {text} }}]")).users;
    assert_eq!(users.len(), 1);
    users.remove(0)
}

fn warnings(loaded: &Loaded) -> usize {
    loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning).count()
}

/// URI and `barred` of each identity.
fn identities(user: &User) -> Vec<(&str, bool)> {
    user.impus.iter().map(|impu| (impu.uri.as_str(), impu.barred)).collect()
}

#[test]
fn defaults_are_those_of_the_model() {
    let config = config("");
    assert_eq!(config.protocol, SipSettings::default());
    assert_eq!(config.registration, RegistrationSettings::default());
    assert_eq!(config.call, CallSettings::default());
    assert_eq!(config.ipsec, IpsecSettings::default());
    assert_eq!(config.log, LogSettings::default());
    assert_eq!(config.sip, [SipSocket::new("127.0.0.1".parse().unwrap(), 5060)]);
    assert_eq!(config.echo, []);
    assert_eq!(config.users, []);
    assert_eq!((config.domain, config.monitor_socket, config.state_file), (None, None, None));
}

#[test]
fn sip_addr_is_a_string_an_object_or_an_array_of_them() {
    let sockets = |text: &str| {
        let config = load_text(&format!("sip_addr: {text}")).config.expect(text);
        config
            .sip
            .iter()
            .map(|s| format!("{} {} {}-{}", s.addr, s.bind, s.port_min, s.port_max))
            .collect::<Vec<_>>()
    };
    assert_eq!(sockets("\"192.0.2.1\""), ["192.0.2.1:5060 192.0.2.1:5060 10000-20000"]);
    assert_eq!(sockets("\"[2001:db8::1]:5070\""), ["[2001:db8::1]:5070 [2001:db8::1]:5070 10000-20000"]);
    assert_eq!(
        sockets("{ addr: '192.0.2.1:5070', bind_addr: '0.0.0.0', port_min: 4000, port_max: 5000 }"),
        ["192.0.2.1:5070 0.0.0.0:5070 4000-5000"]
    );
    assert_eq!(
        sockets("['192.0.2.1', { addr: '2001:db8::1', bind_addr: '[::]:9' }]"),
        ["192.0.2.1:5060 192.0.2.1:5060 10000-20000", "[2001:db8::1]:5060 [::]:9 10000-20000"]
    );
}

#[test]
fn session_expires_is_a_duration_or_an_object() {
    assert_eq!(
        config("session_expires: 3600").call.session_timer,
        SessionTimer { duration: Duration::from_secs(3600), ..SessionTimer::default() }
    );
    let text = "session_expires: { duration: 600, min: 100, refresher: 'uas', method: 'invite', force: 0 }";
    assert_eq!(
        config(text).call.session_timer,
        SessionTimer {
            duration: Duration::from_secs(600),
            min: Duration::from_secs(100),
            refresher_is_uac: false,
            with_update: false,
            force: false
        }
    );
}

#[test]
fn ipsec_is_a_word_or_a_boolean_and_a_users_own_where_it_has_one() {
    for (text, policy) in [
        ("true", Policy::Optional),
        ("1", Policy::Optional),
        ("false", Policy::Off),
        ("\"off\"", Policy::Off),
        ("\"optional\"", Policy::Optional),
        ("\"required\"", Policy::Required),
    ] {
        assert_eq!(config(&format!("ipsec: {text}")).ipsec.policy, policy, "{text}");
        let users =
            "{ imsi: \"001010000000001\", pwd: \"x\" }, { imsi: \"001010000000002\", pwd: \"x\", ipsec: @ }";
        let given = |global: &str| {
            let text = format!("ipsec: {global}, ue_db: [{}]", users.replace('@', text));
            config(&text).users.iter().map(|user| user.ipsec).collect::<Vec<_>>()
        };
        assert_eq!(given("\"required\""), [Policy::Required, policy], "{text}");
        assert_eq!(given("false"), [Policy::Off, policy], "{text}");
    }
}

#[test]
fn algorithms_keep_the_order_of_their_list_and_those_that_cannot_be_had_are_left_out() {
    let text = "ipsec_aalg_list: [\"hmac-md5-96\", \"HMAC-SHA-1-96\", \"null\"],
                ipsec_ealg_list: [\"null\", \"aes-gcm\"], ipsec_port_s: 65534, ipsec_port_c: 1";
    let ipsec = config(text).ipsec;
    assert_eq!(ipsec.integrity, [Integrity::HmacMd5_96, Integrity::HmacSha1_96, Integrity::Null]);
    assert_eq!(ipsec.encryption, [Encryption::Null, Encryption::AesGcm]);
    assert_eq!((ipsec.port_s, ipsec.port_c), (65_534, 1));
    let loaded =
        load_text("sip_addr: \"127.0.0.1\", ipsec_ealg_list: [\"des-cbc\", \"aes-ctr\", \"aes-cbc\"]");
    assert_eq!((warnings(&loaded), said(&loaded).lines().count()), (2, 6));
    assert_eq!(loaded.config.expect("no error").ipsec.encryption, [Encryption::AesCbc]);
}

#[test]
fn precondition_is_a_word_or_a_boolean() {
    for (text, expected) in [
        ("\"on\"", Precondition::On),
        ("\"off\"", Precondition::Off),
        ("\"silent\"", Precondition::Silent),
        ("true", Precondition::On),
        ("false", Precondition::Off),
        ("0", Precondition::Off),
    ] {
        assert_eq!(config(&format!("precondition: {text}")).call.precondition, expected, "{text}");
    }
}

#[test]
fn booleans_are_also_zero_and_one() {
    let config = config("log_sync: 1, \"100rel\": 0, auth_on_register_only: false, proxy_auth: 2 - 1");
    assert!(config.log.sync && config.registration.proxy_auth);
    assert!(!config.call.reliable_provisional && !config.registration.auth_on_register_only);
}

#[test]
fn echo_is_a_string_an_object_or_an_array_of_them() {
    let uris = |text: &str| config(text).echo.into_iter().map(|impu| impu.uri).collect::<Vec<_>>();
    assert_eq!(uris("echo: \"tel:666\""), ["tel:666"]);
    assert_eq!(uris("domain: \"x.org\", echo: { impu: \"666\" }"), ["sip:666@x.org"]);
    assert_eq!(
        uris("domain: \"x.org\", echo: [\"tel:+666\", { impu: \"urn:service:sos\" }, \"sip:e\"]"),
        ["tel:+666", "urn:service:sos", "sip:e@x.org"]
    );
    let text = "sip_addr: '127.0.0.1',\n\
        echo: { impu: 'tel:1', code: 486, content: 'a.xml', content_type: 'a/b', answer_delay: 0.5,\n\
        media_delay: 0.25, rtcp: false }";
    let files = MemoryFiles::default().with("ims.cfg", text).with("a.xml", "<a/>");
    let echo = load(Path::new("ims.cfg"), &files).config.expect("a configuration").echo;
    assert_eq!(echo[0].code, Some(486));
    let body = AnswerBody { file: "a.xml".into(), content_type: "a/b".into(), octets: b"<a/>".to_vec() };
    assert_eq!(echo[0].content, Some(body));
    assert_eq!(echo[0].answer_delay, Duration::from_millis(500));
    let packets = Treatment { rtp_block: false, rtcp_block: true, delay: Duration::from_millis(250) };
    assert_eq!(echo[0].packets, packets);
}

#[test]
fn the_body_of_an_answer_is_read_with_the_configuration() {
    let text =
        "sip_addr: '127.0.0.1',\necho: { impu: 'tel:1', code: 486, content: 'a.xml', content_type: 'a/b' }";
    let missing = load_text(text);
    assert!(said(&missing).starts_with("ims.cfg:2:44: cannot read a.xml"), "{}", said(&missing));
    let long = "x".repeat(imsbox::config::limits::MAX_ANSWER_BODY + 1);
    let long = load(Path::new("ims.cfg"), &MemoryFiles::default().with("ims.cfg", text).with("a.xml", long));
    assert!(said(&long).contains("a.xml is longer than 60000 octets"), "{}", said(&long));
}

#[test]
fn echo_numbers_without_a_domain_take_the_users() {
    let config = config(&format!("echo: \"666\", ue_db: [{{ imsi: \"001010123456789\", K: \"{K}\" }}]"));
    assert_eq!(config.echo[0].uri, "sip:666@ims.mnc001.mcc001.3gppnetwork.org");
}

#[test]
fn file_names_are_relative_to_the_main_file() {
    let text = "sip_addr: \"127.0.0.1\", log_filename: \"ims.log\", include \"more/a.cfg\"";
    let files = MemoryFiles::default()
        .with("etc/ims.cfg", text)
        .with("etc/more/a.cfg", "monitor_socket: \"/run/x.sock\", ue_db_filename: \"state/db\"");
    let config = load(Path::new("etc/ims.cfg"), &files).config.unwrap();
    assert_eq!(config.log.filename.as_deref(), Some(Path::new("etc/ims.log")));
    assert_eq!(config.monitor_socket.as_deref(), Some(Path::new("/run/x.sock")));
    assert_eq!(config.state_file.as_deref(), Some(Path::new("etc/state/db")));
}

#[test]
fn log_options_may_go_over_several_lines() {
    let config = config("log_options: `all.level=error,\n  ims.level=debug,\n file.path=/var/my logs`");
    let (log, _) = LogConfig::parse(&config.log.options).unwrap();
    assert_eq!(log, LogConfig::parse("all.level=error,ims.level=debug,file.path=/var/my logs").unwrap().0);
}

#[test]
fn custom_headers_have_one_or_several_methods_and_codes() {
    let config = config(
        "custom_headers: [{ name: 'X-A', value: '1', methods: '*' }, { name: 'X-B', codes: 0, methods: ['INVITE'] },
         { name: 'X-C', value: 'c', codes: [200, 486], replace: true }]",
    );
    let header = |name: &str, value: Option<&str>, replace, methods: &[&str], codes: &[u16]| CustomHeader {
        name: name.into(),
        value: value.map(str::to_owned),
        replace,
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        codes: codes.to_vec(),
    };
    assert_eq!(
        config.protocol.custom_headers,
        [
            header("X-A", Some("1"), false, &["*"], &[]),
            // Without a value it is removed.
            header("X-B", None, true, &["INVITE"], &[0]),
            header("X-C", Some("c"), true, &[], &[200, 486]),
        ]
    );
}

#[test]
fn a_short_registration_lowers_the_minimum() {
    let registration = config("binding_expires: 20").registration;
    assert_eq!(
        (registration.binding_expires, registration.min_expires),
        (Duration::from_secs(20), Duration::from_secs(20))
    );
}

#[test]
fn identities_follow_from_the_imsi() {
    let user = user(&format!("imsi: \"001010123456789\", K: \"{K}\""));
    let home = "ims.mnc001.mcc001.3gppnetwork.org";
    assert_eq!(user.impi, format!("001010123456789@{home}"));
    assert_eq!(user.domain, home);
    assert_eq!(identities(&user), [(format!("sip:001010123456789@{home}").as_str(), false)]);
    assert_eq!(user.authent_type, AuthentType::AkaV1);
}

#[test]
fn the_identity_of_the_imsi_is_known_and_barred_beside_others() {
    let user = user(&format!("imsi: \"001010123456789\", K: \"{K}\", impu: \"tel:+331\""));
    assert_eq!(
        identities(&user),
        [("tel:+331", false), ("sip:001010123456789@ims.mnc001.mcc001.3gppnetwork.org", true)]
    );
    assert!(!user.impus[1].associated);
}

#[test]
fn the_identity_of_the_imsi_is_not_barred_where_it_is_listed() {
    let user =
        user(&format!("imsi: \"001010123456789\", K: \"{K}\", impu: [\"001010123456789\", \"tel:06\"]"));
    assert_eq!(
        identities(&user),
        [("sip:001010123456789@ims.mnc001.mcc001.3gppnetwork.org", false), ("tel:06", false)]
    );
}

#[test]
fn the_global_domain_is_the_users_but_not_the_temporary_identitys() {
    let text =
        format!("domain: \"x.org\", ue_db: [{{ imsi: \"001010123456789\", K: \"{K}\", impu: \"sip:a\" }}]");
    let config = config(&text);
    let user = &config.users[0];
    assert_eq!(user.domain, "x.org");
    assert_eq!(user.impi, "001010123456789@ims.mnc001.mcc001.3gppnetwork.org");
    assert_eq!(
        identities(user),
        [("sip:a@x.org", false), ("sip:001010123456789@ims.mnc001.mcc001.3gppnetwork.org", true)]
    );
}

#[test]
fn a_three_digit_network_code_is_learnt_from_domain_or_impi() {
    for text in [
        "domain: \"ims.mnc410.mcc310.3gppnetwork.org\"",
        "impi: \"310410000000001@ims.mnc410.mcc310.3gppnetwork.org\"",
    ] {
        let user = user(&format!("imsi: \"310410000000001\", K: \"{K}\", {text}"));
        assert_eq!(
            identities(&user),
            [("sip:310410000000001@ims.mnc410.mcc310.3gppnetwork.org", false)],
            "{text}"
        );
        assert_eq!(user.domain, "ims.mnc410.mcc310.3gppnetwork.org");
    }
    let padded = user(&format!("imsi: \"310410000000001\", K: \"{K}\""));
    assert_eq!(padded.domain, "ims.mnc041.mcc310.3gppnetwork.org");
}

#[test]
fn an_msisdn_stands_in_for_identities_that_are_not_given() {
    let user = user(&format!("imsi: \"001010123456789\", K: \"{K}\", msisdn: \"+33612345678\""));
    assert_eq!(identities(&user)[0], ("tel:+33612345678", false));
    assert!(user.impus[1].barred);
    assert_eq!(user.msisdn.as_deref(), Some("33612345678"));
}

#[test]
fn a_service_urn_is_an_emergency_service_and_a_number_when_it_says_so() {
    let user = user(
        "impi: \"a\", pwd: \"p\", domain: \"x.org\", impu: [
           \"urn:service:sos\", { impu: \"urn:service:sos.fire\" }, { impu: \"urn:service:sos.police\", emergency: false },
           \"tel:112\", { impu: \"tel:911\", emergency: true }, { impu: \"tel:110\", emergency: \"anonymous-emergencycall\" }]",
    );
    let of: Vec<Emergency> = user.impus.iter().take(6).map(|impu| impu.emergency).collect();
    assert_eq!(
        of,
        [Emergency::Any, Emergency::Any, Emergency::No, Emergency::No, Emergency::Any, Emergency::Anonymous]
    );
}

#[test]
fn identity_objects_hold_everything_and_their_own_domain() {
    let user = user(
        "impi: \"a\", pwd: \"p\", domain: \"x.org\", impu: [
           { impu: \"b\", domain: \"y.org\", asserted: true, associated: false, preferred: true, anonymous: true,
             authentication: false, ring_only: true, imei: \"350000000000001\", display_name: \"B\", phone: true,
             verstat: \"TN\", reauthenticate: true, p_called_party_id: \"<tel:1>\", \"100rel\": false, use183: false,
             early_media: false, audio: false, video: false, text: false, precondition: \"off\", match: \"^tel:1\",
             anonymous_callback: 90, emergency: \"emergency-registration\", session_expires: { duration: 200 } },
           { impu: \"tel:1\", prefered: 1, verstat: null }, \"sip:c@z.org\"]",
    );
    let expected = Impu {
        domain: Some("y.org".into()),
        pattern: Some("^tel:1".into()),
        asserted: true,
        associated: false,
        preferred: true,
        anonymous: true,
        anonymous_callback: Duration::from_secs(90),
        emergency: Emergency::Registered,
        authentication: false,
        ring_only: true,
        imei: Some("350000000000001".into()),
        display_name: Some("B".into()),
        phone: true,
        verstat: Some("TN".into()),
        reauthenticate: true,
        p_called_party_id: Some("<tel:1>".into()),
        reliable_provisional: false,
        use183: false,
        early_media: false,
        audio: false,
        video: false,
        text: false,
        precondition: Some(Precondition::Off),
        session_timer: Some(SessionTimer { duration: Duration::from_secs(200), ..SessionTimer::default() }),
        ..Impu::new("sip:b@y.org")
    };
    assert_eq!(user.impus[0], expected);
    assert_eq!(user.impus[1], Impu { preferred: true, ..Impu::new("tel:1") });
    assert_eq!(user.impus[2], Impu::new("sip:c@z.org"));
    // The name by which the client registers is an identity too, and no secret.
    assert_eq!(user.impus[3], Impu::new("sip:a@x.org"));
}

#[test]
fn a_password_means_md5_unless_it_is_said_otherwise() {
    let named = |text: &str| user(&format!("impi: \"a@x.org\", {text}")).authent_type;
    assert_eq!(named("pwd: \"p\""), AuthentType::Md5);
    assert_eq!(named(&format!("pwd: \"p\", K: \"{K}\", authent_type: \"AKAv1\"")), AuthentType::AkaV1);
    assert_eq!(named(&format!("K: \"{K}\", authent_type: \"MD5\"")), AuthentType::Md5);
    assert_eq!(named("authent_type: \"none\""), AuthentType::None);
    assert_eq!(named(&format!("K: \"{K}\", authent_type: \"AKAv2-SHA-256\"")), AuthentType::AkaV2Sha256);
    assert_eq!(user("impi: \"a@x.org\", pwd: \"p\"").domain, "x.org");
}

#[test]
fn a_soft_client_with_zeros_for_an_imsi_has_none() {
    let zeros = "0".repeat(15);
    let text = format!(
        "domain: \"x.org\", ue_db: [
           {{ imsi: \"{zeros}\", K: \"{zeros}00000000000000000\", impi: \"one\", impu: [\"tel:1\"], pwd: \"p\", authent_type: \"MD5\" }},
           {{ imsi: \"{zeros}\", impi: \"two\", impu: [\"tel:2\"], pwd: \"p\" }}]"
    );
    let config = config(&text);
    assert_eq!(config.users[1].imsi, "");
    assert_eq!(identities(&config.users[1]), [("tel:2", false), ("sip:two@x.org", false)]);
}

#[test]
fn a_network_specific_identifier_is_the_private_identity() {
    let user = user(&format!("nai: \"u@plant.example\", K: \"{K}\""));
    assert_eq!(
        (user.impi.as_str(), user.domain.as_str(), user.imsi.as_str()),
        ("u@plant.example", "plant.example", "")
    );
    assert_eq!(identities(&user), [("sip:u@plant.example", false)]);
}

#[test]
fn what_a_user_says_wins_over_the_top_level() {
    let text = format!(
        "auth_on_register_only: false, proxy_auth: true, domain: \"x.org\",
         ue_db: [{{ impi: \"a\", K: \"{K}\" }}, {{ impi: \"b\", K: \"{K}\", auth_on_register_only: true, proxy_auth: false }}]"
    );
    let users = config(&text).users;
    assert_eq!((users[0].auth_on_register_only, users[0].proxy_auth), (false, true));
    assert_eq!((users[1].auth_on_register_only, users[1].proxy_auth), (true, false));
}

#[test]
fn qop_is_none_one_or_both() {
    let qop = |text: &str| user(&format!("impi: \"a@x.org\", pwd: \"p\"{text}")).qop;
    assert_eq!(qop(""), Vec::<String>::new());
    assert_eq!(qop(", authent_qop: \"none\""), Vec::<String>::new());
    assert_eq!(qop(", authent_qop: \"auth\""), ["auth"]);
    assert_eq!(qop(", authent_qop: \"auth,auth-int\""), ["auth", "auth-int"]);
}

fn sim(text: &str) -> Sim {
    user(&format!("imsi: \"001010123456789\", {text}")).sim.expect(text)
}

#[test]
fn the_default_sim_is_the_test_algorithm() {
    let sim = sim(&format!("K: \"{K}\""));
    assert_eq!(sim.algo, SimAlgo::Xor);
    assert_eq!(sim.k, (0..16).map(|n| n * 0x11).collect::<Vec<u8>>());
    assert_eq!((sim.amf, sim.sqn, sim.res_len), ([0x90, 0x01], 0, 8));
}

#[test]
fn amf_is_a_number_or_hexadecimal_and_sqn_hexadecimal() {
    for (text, expected) in [
        ("0x9001", [0x90, 0x01]),
        ("32768", [0x80, 0]),
        ("\"725c\"", [0x72, 0x5c]),
        ("'0xB9B9'", [0xb9, 0xb9]),
    ] {
        assert_eq!(sim(&format!("K: \"{K}\", amf: {text}")).amf, expected, "{text}");
    }
    assert_eq!(sim(&format!("K: \"{K}\", sqn: \"ff9bb4d0b607\"")).sqn, 0xff9b_b4d0_b607);
}

#[test]
fn milenage_constants_have_their_defaults_and_can_be_given() {
    let default_c = [0_u128, 1, 2, 4, 8].map(u128::to_be_bytes);
    let given = sim(&format!("sim_algo: \"milenage\", K: \"{K}\", op: \"{K}\""));
    let code: [u8; 16] = given.k.clone().try_into().unwrap();
    assert_eq!(
        given.algo,
        SimAlgo::Milenage { op: OperatorCode::Op(code), r: [64, 0, 32, 64, 96], c: default_c }
    );
    let c = format!("[\"{K}\", \"{K}\", \"{K}\", \"{K}\", \"{K}\"]");
    let given = sim(&format!(
        "sim_algo: \"milenage\", K: \"{K}\", opc: \"{K}\", r: [1, 2, 3, 4, 127], c: {c}, res_len: 4"
    ));
    assert_eq!(
        given.algo,
        SimAlgo::Milenage { op: OperatorCode::Opc(code), r: [1, 2, 3, 4, 127], c: [code; 5] }
    );
    assert_eq!(given.res_len, 4);
}

#[test]
fn tuak_takes_both_lengths_of_key() {
    let given =
        sim(&format!("sim_algo: \"tuak\", K: \"{K}{K}\", topc: \"{K}{K}\", keccak_iter: 2, res_len: 16"));
    let code: [u8; 32] = given.k.clone().try_into().unwrap();
    assert_eq!(given.algo, SimAlgo::Tuak { top: OperatorCodeTuak::Topc(code), keccak_iter: 2 });
    let given = sim(&format!("sim_algo: \"tuak\", K: \"{K}\", top: \"{K}{K}\""));
    assert_eq!(given.algo, SimAlgo::Tuak { top: OperatorCodeTuak::Top(code), keccak_iter: 1 });
}

#[test]
fn the_isim_overrides_what_it_gives() {
    let other = "ffeeddccbbaa99887766554433221100";
    let given = sim(&format!(
        "sim_algo: \"milenage\", K: \"{K}\", opc: \"{K}\", amf: \"0001\", isim_auth: {{ K: \"{other}\", op: \"{other}\" }}"
    ));
    let code: [u8; 16] = given.k.clone().try_into().unwrap();
    assert_eq!(given.k[0], 0xff);
    // The ISIM's own op, not the opc of the USIM.
    assert!(matches!(given.algo, SimAlgo::Milenage { op: OperatorCode::Op(op), .. } if op == code));
    assert_eq!(given.amf, [0, 1]);
    let given = sim(&format!("K: \"{K}\", isim_auth: {{ sim_algo: \"milenage\", opc: \"{K}\" }}"));
    assert!(matches!(given.algo, SimAlgo::Milenage { op: OperatorCode::Opc(_), .. }));
}

#[test]
fn count_makes_users_with_everything_counted_up() {
    let text = "ue_db: [{ imsi: \"001010000000098\", K: \"000000000000000000000000000000fe\", count: 3, msisdn: \"0609\",
                 impu: [\"001010000000098\", \"tel:0600000098\", \"urn:service:sos\"] }]";
    let users = config(text).users;
    assert_eq!(users.len(), 3);
    let home = "ims.mnc001.mcc001.3gppnetwork.org";
    assert_eq!(users[2].imsi, "001010000000100");
    assert_eq!(users[2].impi, format!("001010000000100@{home}"));
    assert_eq!(
        identities(&users[2]),
        [
            (format!("sip:001010000000100@{home}").as_str(), false),
            ("tel:0600000100", false),
            ("urn:service:sos", false)
        ]
    );
    assert_eq!(users[2].msisdn.as_deref(), Some("0611"));
    assert_eq!(&users[2].sim.as_ref().unwrap().k[14..], [1, 0]);
    assert_eq!(users[0].sim.as_ref().unwrap().k[15], 0xfe);
}

#[test]
fn every_form_of_the_sms_filter_is_taken() {
    let config = config(
        "sms_message_filter: { cp_data: \"treat\", cp_ack: { action: \"ignore\" }, rp_data: { action: \"reject\", ttl: 2 } }",
    );
    let rule = |action, times| FilterRule { action, times };
    let filter = SmsFilter {
        cp_data: FilterRule::default(),
        cp_ack: rule(FilterAction::Ignore, None),
        rp_data: rule(FilterAction::Reject, Some(2)),
        rp_ack: FilterRule::default(),
    };
    assert_eq!(config.sms, SmsSettings { filter, ..SmsSettings::default() });
}

#[test]
fn the_sms_centre_has_its_settings() {
    let all = config(
        "sms_expires: 60, sms_retry_delay: 5, sms_hook_only: true, sms_forced_cp_cause: 17, sms_forced_rp_cause: 0,
         sms_centre_address: { type_of_number: \"national\", numbering_plan: \"private\", number: \"0123\" },
         sms_message_filter: { rp_ack: \"reject\" }",
    );
    let centre = CentreAddress { digits: Some("0123".to_owned()), ton: 2, npi: 9 };
    let reject = FilterRule { action: FilterAction::Reject, times: None };
    let expected = SmsSettings {
        expires: Duration::from_secs(60),
        retry_delay: Duration::from_secs(5),
        hook_only: true,
        centre,
        filter: SmsFilter { rp_ack: reject, ..SmsFilter::default() },
        forced_cp_cause: Some(17),
        forced_rp_cause: None,
    };
    assert_eq!(all.sms, expected);
    for (address, centre) in [
        ("{ number: \"+33609001390\" }", (Some("33609001390"), 1, 0)),
        ("{ number: \"999\", type_of_number: \"international\" }", (Some("999"), 1, 0)),
        ("{ numbering_plan: \"national\" }", (None, 0, 8)),
    ] {
        let got = config(&format!("sms_centre_address: {address}")).sms.centre;
        assert_eq!((got.digits.as_deref(), got.ton, got.npi), centre, "{address}");
    }
    let text = "ue_db: [{ impi: \"a\", domain: \"x\", pwd: \"p\", impu: [{ impu: \"tel:1\", sms: false, sms_delay: 1.5 }] }]";
    let impu = &config(text).users[0].impus[0];
    assert_eq!((impu.sms, impu.sms_delay), (false, Duration::from_millis(1500)));
    let hasty = config("sms_retry_delay: 0").sms.retry_delay;
    assert_eq!(hasty, Duration::from_secs(1), "nothing is tried without pause");
}

#[test]
fn what_is_the_mmes_in_a_shared_user_database_is_passed_over() {
    let text = format!(
        "sip_addr: \"127.0.0.1\", ue_db: [{{ imsi: \"001010123456789\", K: \"{K}\", pdn_list: [{{ access_point_name: 5 }}],
         ue_aggregate_max_bitrate_dl: 5e9, \"5gs_auth_type\": \"5g_aka\", restrict_5gc_access: 1, routing_indicator: \"0\" }}]"
    );
    let loaded = load_text(&text);
    assert_eq!(said(&loaded), "");
    assert!(loaded.config.is_some());
}

#[test]
fn users_without_keys_are_the_hsss_where_there_is_one() {
    let text = "sip_addr: \"127.0.0.1\", ue_db: [{ imsi: \"001010123456789\" }]";
    assert_eq!(warnings(&load_text(text)), 1);
    assert_eq!(warnings(&load_text(&format!("cx_server_addr: \"127.0.1.100\", {text}"))), 0);
}

#[test]
fn somebody_else_can_complain_of_a_part_of_a_string() {
    for (text, place) in [
        ("log_options: \"ims.level=loud,x\",\n", ("1:25", "log_options: \"ims.level=loud,x\",", 24, 4)),
        // Where the text is not the string to the letter, the whole is pointed at.
        (
            "log_options: \"ims.le\" + \"vel=loud,x\",\n",
            ("1:14", "log_options: \"ims.le\" + \"vel=loud,x\",", 13, 23),
        ),
        (
            "log_options: \"ims.level\\u003dloud,x\",\n",
            ("1:14", "log_options: \"ims.level\\u003dloud,x\",", 13, 23),
        ),
    ] {
        let mut loaded = load_text(&format!("{text}sip_addr: \"127.0.0.1\","));
        assert!(loaded.config.is_some());
        assert_eq!(loaded.text("log_options"), Some("ims.level=loud,x"));
        loaded.complain("log_options", 10..14, "`loud` is no level");
        assert!(loaded.config.is_none());
        let (at, line, blanks, carets) = place;
        let (blanks, carets) = (" ".repeat(blanks), "^".repeat(carets));
        let expected =
            format!("ims.cfg:{at}: `loud` is no level\n    1 | {line}\n      | {blanks}{carets}\n");
        assert_eq!(said(&loaded), expected);
    }
}

#[test]
fn a_trunk_is_reached_from_its_socket_or_the_first_of_its_ip_version() {
    let trunk = |sockets: &str, text: &str| {
        let loaded = load_text(&format!("sip_addr: [{sockets}], trunk: {{ {text} }}"));
        let bad = loaded.diagnostics.iter().any(|d| d.severity < Severity::Warning);
        assert!(!bad, "{}", said(&loaded));
        loaded.config.expect(text).trunk.expect("a trunk")
    };
    let both = "'192.0.2.1', '2001:db8::1'";
    let t = trunk(both, "addr: '192.0.2.9'");
    assert_eq!(
        t,
        Trunk {
            addr: "192.0.2.9:5060".parse().unwrap(),
            local: LocalId(0),
            name: None,
            domain: "192.0.2.9".to_owned(),
            tcp_threshold: None,
            anonymous: false,
        }
    );
    for (sockets, addr, local, domain) in [
        (both, "192.0.2.9:5070", 0, "192.0.2.9:5070"),
        (both, "2001:db8::9", 1, "[2001:db8::9]"),
        (both, "[2001:db8::9]:5070", 1, "[2001:db8::9]:5070"),
        ("'192.0.2.1', { addr: '192.0.2.2', trunk: true }", "192.0.2.9", 1, "192.0.2.9"),
        ("'192.0.2.1', { addr: '192.0.2.2', trunk: true }, '::1'", "::2", 2, "[::2]"),
    ] {
        let t = trunk(sockets, &format!("addr: '{addr}'"));
        assert_eq!((t.local, t.domain.as_str()), (LocalId(local), domain), "{sockets} {addr}");
    }
    let t = trunk(
        both,
        "addr: '192.0.2.9', name: 'ims', domain: 'pbx.test', tcp_threshold: 900, anonymous: true",
    );
    assert_eq!((t.name.as_deref(), t.domain.as_str()), (Some("ims"), "pbx.test"));
    assert_eq!((t.tcp_threshold, t.anonymous), (Some(900), true));
    let t = trunk(both, "addr: '192.0.2.9', name: '', domain: ''");
    assert_eq!((t.name.as_deref(), t.domain.as_str()), (None, "192.0.2.9"));
    assert_eq!(config("").trunk, None);
}
