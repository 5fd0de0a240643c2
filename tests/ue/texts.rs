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
    for (whom, code) in [("nobody", 404), ("bob", 480)] {
        let text = ims.phone(ALICE, &format!("register; sms {whom} hello")).fails(1);
        assert!(text.contains(&format!("failed: the text is not taken: {code} ")), "{text}");
    }
    let long = "x".repeat(1300);
    let text = ims.phone(ALICE, &format!("register; sms 666 {long}")).fails(1);
    assert!(text.contains("the text is too long for UDP by "), "{text}");
    let script = format!("register; sms 666 {long}; wait sms; expect sms {long}");
    ims.phone_on(WAYS[1], ALICE, &script).succeeds();
}
