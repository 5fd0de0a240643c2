//! How a phone and the network come to an algorithm, and what the settings of a user and of a SIM do to that.

use super::*;

/// The name, the key and the operator code of the SIMs of [`SETTINGS`].
const K: &str = "fec86ba6eb707ed08905757b1bb44b8f";
const K256: &str = "1574ca56881d05c189c82880f789c9cd4244955f4426aa2b69c29f15770e5aa5";
const OP: &str = "dbc59adcb6f9a0ef735477b7fadf8374";
const TOP: &str = "e59f6eb10ea406813f4991b0b9e02f181edf4c7e17b480f66d34da35ee88c95e";

/// Users whose settings are not the usual ones; `$K` and the like stand for the constants.
const SETTINGS: &str = r#"
domain: "example.org",
ue_db: [
  { impi: "body", pwd: "secret", authent_qop: "auth-int", impu: "sip:body" },
  { impi: "proxy", pwd: "secret", proxy_auth: true, authent_qop: "auth,auth-int", impu: "sip:proxy" },
  { impi: "open", authent_type: "none", impu: "sip:open" },
  { imsi: "001010000000021", sim_algo: "xor", K: "$K", authent_type: "AKAv2" },
  { imsi: "001010000000022", sim_algo: "milenage", K: "$K", op: "$OP", authent_type: "AKAv2-SHA-256" },
  { imsi: "001010000000023", sim_algo: "tuak", K: "$L", top: "$TOP", res_len: 16, keccak_iter: 2 },
  { imsi: "001010000000024", sim_algo: "tuak", K: "$L", top: "$TOP", res_len: 4, authent_qop: "auth-int" },
  { imsi: "001010000000025", sim_algo: "xor", K: "00112233445566778899aabbccddeeff",
    isim_auth: { sim_algo: "milenage", K: "$K", op: "$OP" } },
  { imsi: "001010000000030", sim_algo: "milenage", K: "$K", op: "$OP", count: 3 },
],
"#;

fn settings() -> String {
    let values = [("$K", K), ("$L", K256), ("$OP", OP), ("$TOP", TOP)];
    values.iter().fold(SETTINGS.to_owned(), |text, (name, value)| {
        text.replace(&format!("\"{name}\""), &format!("\"{value}\""))
    })
}

/// The log says of each IMPI, in this order, how it has authenticated.
fn assert_authenticated(log: &str, expected: &[(&str, &str)]) {
    let found: Vec<(&str, &str)> = log
        .lines()
        .filter_map(|line| line.split_once(" authenticated ("))
        .map(|(impi, how)| (impi.rsplit(' ').next().unwrap_or(impi), how.trim_end_matches(')')))
        .map(|(impi, how)| (impi.split('@').next().unwrap_or(impi), how))
        .collect();
    assert_eq!(found, expected, "{log}");
}

#[test]
fn the_algorithm_that_a_phone_asks_for_is_used() {
    let mut ims = Ims::start("digest");
    let wishes: [(&[&str], &[&str]); 4] = [
        (ALICE, &["MD5", "SHA-256", "sha-512-256"]),
        (XOR, &["AKAv1-MD5", "AKAv2-MD5", "AKAv2-SHA-256"]),
        (MILENAGE, &["AKAv2-MD5", "akav2-sha-256"]),
        (TUAK, &["AKAv2-SHA-256"]),
    ];
    for (who, names) in wishes {
        for (name, on) in names.iter().zip(WAYS) {
            ims.phone_on(on, &[who, &["--digest", name]].concat(), "register; expect code 200; deregister")
                .succeeds();
        }
    }
    let text = ims.phone(&[ALICE, &["--digest", "AKAv1-MD5"]].concat(), "register").fails(2);
    assert!(
        text.contains("--digest `AKAv1-MD5` is none of MD5, SHA-256, SHA-512-256, which a password can do"),
        "{text}"
    );
    let of = |impi: &'static str, names: &[&'static str]| {
        // each once to register and once to leave
        names.iter().flat_map(|name| [(impi, *name); 2]).collect::<Vec<_>>()
    };
    let expected = [
        of("alice", &["MD5", "SHA-256", "SHA-512-256"]),
        of(XOR[1], &["AKAv1-MD5", "AKAv2-MD5", "AKAv2-SHA-256"]),
        of(MILENAGE[1], &["AKAv2-MD5", "AKAv2-SHA-256"]),
        of(TUAK[1], &["AKAv2-SHA-256"]),
    ];
    assert_authenticated(&ims.stop(), &expected.concat());
}

#[test]
fn the_settings_of_a_user_say_what_is_enough() {
    let mut ims = Ims::with("settings", &settings());
    let sim = |imsi: &'static str, more: &[&'static str]| [&["--imsi", imsi], more].concat();
    let named = |impi: &'static str| vec!["--impi", impi, "--domain", "example.org", "--password", "secret"];
    let milenage = ["--k", K, "--op", OP];
    let tuak = ["--k", K256, "--top", TOP];
    let mut counted = vec!["--k", "fec86ba6eb707ed08905757b1bb44b91"];
    counted.extend(&milenage[2..]);
    let phones: [(Vec<&str>, &str); 9] = [
        (named("body"), "MD5"),
        (named("proxy"), "MD5"),
        (sim("001010000000021", &["--k", K]), "AKAv2-MD5"),
        // what is asked for is too little
        ([&sim("001010000000021", &["--k", K])[..], &["--digest", "AKAv1-MD5"]].concat(), "AKAv2-MD5"),
        (sim("001010000000022", &milenage), "AKAv2-SHA-256"),
        (
            [&sim("001010000000023", &tuak)[..], &["--res-len", "16", "--keccak-iter", "2"]].concat(),
            "AKAv1-MD5",
        ),
        ([&sim("001010000000024", &tuak)[..], &["--res-len", "4"]].concat(), "AKAv1-MD5"),
        (sim("001010000000025", &milenage), "AKAv1-MD5"),
        (sim("001010000000032", &counted), "AKAv1-MD5"),
    ];
    let mut expected = Vec::new();
    for ((who, how), on) in phones.iter().zip(WAYS.iter().cycle()) {
        let text = ims
            .phone_on(on, &[who, &["-v"][..]].concat(), "register; expect code 200; deregister")
            .succeeds();
        let challenge =
            if who[1] == "proxy" { "Proxy-Authenticate: Digest" } else { "WWW-Authenticate: Digest" };
        assert!(text.contains(challenge), "{who:?}: {text}");
        expected.extend([(who[1], *how); 2]);
    }
    let text = ims.phone(&[&named("open"), &["-v"][..]].concat(), "register; deregister").succeeds();
    assert!(!text.contains("401"), "{text}");
    let wrong = sim("001010000000025", &["--k", "00112233445566778899aabbccddeeff"]);
    let text = ims.phone(&wrong, "register").fails(1);
    assert!(text.contains("the network's key differs"), "the ISIM has keys of its own: {text}");
    assert_authenticated(&ims.stop(), &expected);
}

#[test]
fn phones_with_copies_of_one_sim_are_told_apart_by_their_imei() {
    let ims =
        Ims::with("copies", &USERS.replace("sim_algo: \"xor\",", "sim_algo: \"xor\", multi_sim: true,"));
    let state = |name: &str| ims.folder.join(name).to_str().unwrap().to_owned();
    let (one, other) = (state("one"), state("other"));
    let phone = |imei: &'static str, state: &str, script: &str| {
        ims.phone(&[XOR, &["--imei", imei, "--state", state]].concat(), script)
    };
    // the first counts far ahead of the second
    phone("861309050000381", &one, &"register; deregister; ".repeat(5)).succeeds();
    let mut first =
        phone("861309050000381", &one, "register; auto-answer on; wait sms 60; register; wait ended 60");
    first.until("registered as");
    let script = "register; deregister; register; expect registered; expect code 200";
    let second = phone("356938035643809", &other, script).succeeds();
    assert!(!second.contains("AUTS"), "each counts for itself: {second}");
    // what is for the number reaches the first, which has stayed
    let third =
        ims.phone(ALICE, "register; sms 600 hello; sleep 0.5; call 600 1; expect code 200").succeeds();
    assert!(third.contains("is answered"), "{third}");
    let first = first.succeeds();
    assert!(first.contains("hello") && !first.contains("AUTS"), "{first}");
}
