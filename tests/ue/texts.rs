//! Texts from phone to phone through the network, and back from an echo number.

use super::*;

#[test]
fn texts_go_both_ways_over_each_transport() {
    let ims = Ims::start("texts");
    for (one_on, other_on) in [(WAYS[0], WAYS[3]), (WAYS[3], WAYS[2]), (WAYS[2], WAYS[1]), (WAYS[1], WAYS[0])]
    {
        let script = "register; wait sms 60; expect sms \"Grüße; # 你好\"; sms alice and you?; \
                      wait sms 60; expect sms fine; expect sms-received 2";
        let mut other = ims.phone_on(other_on, BOB, script);
        other.until("registered as");
        let script = "register; sms 0002 \"Grüße; # 你好\"; expect code 200; wait sms 60; expect sms and you?; \
                      sms sip:bob@example.org fine";
        let one = ims.phone_on(one_on, ALICE, script).succeeds();
        assert!(one.contains("\ntext from sip:bob@example.org: and you?\n"), "{one_on}: {one}");
        assert!(one.contains("\ntext to sip:bob@example.org is taken\n"), "{one}");
        let other = other.succeeds();
        assert!(other.contains("\ntext from sip:alice@example.org: Grüße; # 你好\n"), "{other_on}: {other}");
    }
}

#[test]
fn an_echo_number_sends_a_text_back() {
    let ims = Ims::start("text-echo");
    for on in WAYS {
        let text = ims.phone_on(on, XOR, "register; sms 666 ping; wait sms; expect sms ping").succeeds();
        assert!(text.contains("\ntext from "), "{on}: {text}");
    }
}

#[test]
fn a_text_to_nobody_is_refused_in_words() {
    let ims = Ims::start("text-nobody");
    let text = ims.phone(ALICE, "register; sms nobody hello").fails(1);
    assert!(text.contains("failed: the text is not taken: 404 "), "{text}");
    let long = "x".repeat(1300);
    let text = ims.phone(ALICE, &format!("register; sms 666 {long}")).fails(1);
    assert!(text.contains("the text is too long for UDP by "), "{text}");
    let script = format!("register; sms 666 {long}; wait sms; expect sms {long}");
    ims.phone_on(WAYS[1], ALICE, &script).succeeds();
}

#[test]
fn a_text_for_who_is_away_comes_when_the_phone_registers() {
    let ims = Ims::start("text-kept");
    let long = "Grüße; # 你好 ".repeat(20);
    for (whom, phone) in [("bob", BOB), ("600", XOR)] {
        let script = format!("register; sms {whom} \"{long}\"; expect code 202");
        let text = ims.phone(ALICE, &script).succeeds();
        assert!(text.contains("is taken"), "{text}");
        ims.phone(phone, &format!("register; wait sms 60; expect sms \"{long}\"")).succeeds();
    }
}

/// What a short message has to carry: longer than a part in each coding, with characters of the extension table and of more than
/// two octets, and a little one.
fn texts() -> [String; 4] {
    let long = "The extension table has €, {, }, [, ], ~, \\, ^ and |; two septets each. ".repeat(6);
    let emoji = "Längere Texte werden geteilt 😀👍🏽, auch zwischen Emoji 你好. ".repeat(5);
    let edge = format!("{}{}", "a".repeat(152), "€".repeat(60));
    [long.trim_end().to_owned(), emoji.trim_end().to_owned(), edge, "¿Qué?".to_owned()]
}

#[test]
fn short_messages_of_any_length_and_alphabet_go_both_ways_over_each_transport() {
    let ims = Ims::start("short-messages");
    for (one_on, other_on) in [(WAYS[0], WAYS[3]), (WAYS[3], WAYS[2]), (WAYS[2], WAYS[1]), (WAYS[1], WAYS[0])]
    {
        let [long, emoji, edge, little] = texts();
        let script = format!(
            "register\nwait sms 60\nexpect sms \"{long}\"\nwait sms 60\nexpect sms \"{emoji}\"\nsms 600 \"{edge}\"\n\
             expect code 202\nwait sms 60\nexpect sms {little}\nexpect sms-received 3"
        );
        let mut other = ims.phone_on(other_on, MILENAGE, &script);
        other.until("registered as");
        let script = format!(
            "register\nsms 603 \"{long}\"\nexpect code 202\nsms 603 \"{emoji}\"\nwait sms 60\nexpect sms \"{edge}\"\n\
             sms 603 \"{little}\"\nexpect sms-received 1"
        );
        let one = ims.phone_on(one_on, XOR, &script).succeeds();
        assert!(one.contains("\ntext from 603: "), "{one_on}: {one}");
        assert_eq!(one.matches("text to 603 is taken\n").count(), 3, "{one}");
        let other = other.succeeds();
        assert!(other.contains(&format!("\ntext from 600: {little}\n")), "{other_on}: {other}");
    }
}

#[test]
fn a_text_waits_for_its_phone_and_the_sender_is_told_when_it_has_arrived() {
    let ims = Ims::start("short-status");
    let script = "register; sms-status on; sms 603 \"good morning\"; wait sms-status 90; expect sms-status = 0; \
                  expect sms-statuses 1";
    let mut one = ims.phone(XOR, script);
    one.until("text to 603 is taken");
    let other = ims.phone(MILENAGE, "register; wait sms 60; expect sms good morning").succeeds();
    assert!(other.contains("text from 600: good morning"), "{other}");
    let one = one.succeeds();
    assert!(one.contains("\nstatus of the text to 603: 00 (received)\n"), "{one}");
}

#[test]
fn a_phone_without_memory_gets_its_text_when_it_has_some() {
    let ims = Ims::start("short-memory");
    let mut other = ims.phone(
        MILENAGE,
        "register; sms-report full; wait sms-refused 60; expect sms-received 0; smma; wait sms 60; expect sms at last",
    );
    other.until("registered as");
    ims.phone(XOR, "register; sms 603 at last").succeeds();
    let other = other.succeeds();
    assert!(
        other.contains("a text from 600 is not taken: RP-ERROR 22 (memory capacity exceeded)"),
        "{other}"
    );
    assert!(other.contains("the network knows that there is memory for texts"), "{other}");
}

#[test]
fn a_short_message_to_nobody_is_refused_by_the_centre_in_words() {
    let ims = Ims::start("short-nobody");
    let text = ims.phone(XOR, "register; sms 0999999 hello").fails(1);
    assert!(text.contains("failed: the text is not taken: RP-ERROR "), "{text}");
    let text = ims
        .phone(XOR, "register; try sms 0999999 hello; expect code 202; sms 600 me; wait sms; expect sms me");
    text.succeeds();
}

#[test]
fn soft_clients_and_phones_with_sims_understand_each_other() {
    let ims = Ims::start("short-and-plain");
    const SOFT: [&str; 2] = ["--sms", "plain"];
    for (soft_on, sim_on) in [(WAYS[0], WAYS[1]), (WAYS[1], WAYS[0])] {
        let client = [ALICE, &SOFT].concat();
        let script = "register; wait sms 60; expect sms {Grüße}; sms 600 \"zurück 😀\"";
        let mut soft = ims.phone_on(soft_on, &client, script);
        soft.until("registered as");
        let sim =
            ims.phone_on(sim_on, XOR, "register; sms 0001 {Grüße}; wait sms 60; expect sms \"zurück 😀\"");
        sim.succeeds();
        soft.succeeds();
    }
}
