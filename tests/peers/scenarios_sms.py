"""Short messages (TS 24.341): between soft UEs, for pycrate to judge, and with SIPp as a phone whose every header line and octet is our own."""

import time

from checks import exactly
from registry import scenario
from scenarios_baresip import bindings_of

LONG = "The extension table has €, {, }, [, ], ~, ^ and |: two septets each. " * 5
EMOJI = "Lange Texte werden geteilt 😀👍, auch zwischen Emoji 你好. " * 5
# The centre's URI and number as a SIM may have them (TS 31.102 4.2.28): whatever they are, it is ours that is meant.
CENTRE = "33609001390"
# RP-MR of what SIPp submits, and the number of nobody.
REFERENCE, NOBODY = b"R", "4499999999999"
# What begins the RPDUs that it gets (TS 24.011 7.3), up to their first zero octet, behind which it does not look: RP-DATA with any reference,
# RP-ACK with a SUBMIT-REPORT, RP-ERROR 1 (unassigned number) with one.
RP_DATA, RP_ACK, RP_ERROR = "^\x01(.)", "^\x03RA\x09\x01", "^\x05R\x01\x01A.\x01"

# They have a server of their own, whose references begin at 1: SIPp could not repeat a zero octet.
OF_SIPP = {"server": None, "kinds": ("md5", "aka"), "short_messages": True}


def escaped(octets):
    """Octets as SIPp's scenarios have them."""
    return "".join(f"\\x{octet:02x}" for octet in octets)


def digits(number):
    """Type of number and semi-octets of an international number (TS 23.040 9.1.2.5)."""
    padded = number + "f" * (len(number) % 2)
    return b"\x91" + bytes.fromhex("".join(padded[at + 1] + padded[at] for at in range(0, len(padded), 2)))


def septets(text):
    """ASCII letters, packed (TS 23.038 6.1.2.1)."""
    bits = sum(ord(letter) << 7 * at for at, letter in enumerate(text))
    return bits.to_bytes((7 * len(text) + 7) // 8, "little")


def submit(number, text):
    """An RP-DATA with an SMS-SUBMIT to an international number (TS 24.011 7.3.1.2, TS 23.040 9.2.2.2)."""
    tpdu = b"\x01\x07" + bytes([len(number)]) + digits(number) + b"\x00\x00" + bytes([len(text)]) + septets(text)
    centre = digits(CENTRE)
    return b"\x00" + REFERENCE + b"\x00" + bytes([len(centre)]) + centre + bytes([len(tpdu)]) + tpdu


@scenario(short_messages=True)
def sim_users_write_to_each_other(case):
    """Long texts, emoji and the extension table, both ways; a text that is refused, and one that has no memory to go to at first."""
    a, b = case.soft_ue("one"), case.soft_ue("other")
    to_a, to_b = f"+{a.user.msisdn}", f"+{b.user.msisdn}"
    b.start(["register", "sms-report full", "wait sms-refused 30", "smma", "wait sms 30", f'expect sms "{LONG.strip()}"', "wait sms 30",
             f'expect sms "{EMOJI.strip()}"', f"sms {to_a} thanks {{€}}", "expect code 202", "expect sms-received 2", "deregister"])
    case.until(lambda: is_registered(case, b))
    a.start(["register", "sms-status on", f'sms {to_b} "{LONG.strip()}"', "expect code 202", f'sms {to_b} "{EMOJI.strip()}"', "wait sms 40",
             "expect sms thanks {€}", "try sms +4499999999999 hello", "deregister"])
    a.wait()
    b.wait()


def is_registered(case, ue):
    ue.check_running()
    time.sleep(0.05)
    return bool(bindings_of(case, ue))


def writes(case, number, text, report):
    """A phone registers and submits a text, and is answered with this report (a regular expression)."""
    a = case.phone("writer")
    a.values.update(target=f"tel:+{CENTRE}", rpdu=escaped(submit(number, text)), report=report)
    a.start("writer_writes", out_of_call="writer_is_told")
    a.wait_done(2)
    return a


def reader(case, kind="md5", **how):
    """A phone that waits for texts."""
    b = case.phone("reader", kind, **how)
    b.values["rp_data"] = RP_DATA
    return b


@scenario(**OF_SIPP)
def text_is_submitted_delivered_and_reported(case):
    b = reader(case)
    b.start("callee_waits", out_of_call="reader_reads")
    b.wait_done(1)
    writes(case, b.user.msisdn, "hello", RP_ACK)
    b.wait_done(2)


@scenario(**OF_SIPP)
def text_to_nobody_is_refused(case):
    writes(case, NOBODY, "hello", RP_ERROR)


@scenario(**OF_SIPP)
def text_waits_for_a_phone_that_is_away(case):
    b = reader(case)
    writes(case, b.user.msisdn, "hello", RP_ACK)
    b.start("callee_waits", out_of_call="reader_reads")
    b.wait_done(2)


@scenario(**OF_SIPP)
def text_comes_again_when_the_phone_has_room(case):
    """What B gets: the text, the answer to its RP-SMMA, the text."""
    b = reader(case)
    b.values.update(rp_smma=escaped(b"\x06S"), smma_ack="^\x03S")
    b.start("callee_waits", out_of_call="reader_is_full_at_first")
    b.wait_done(1)
    writes(case, b.user.msisdn, "hello", RP_ACK)
    b.wait_done(4)


@scenario(**OF_SIPP)
def plain_text_reaches_a_sim_user_as_short_message(case):
    b = reader(case, "aka")
    b.start("callee_waits", out_of_call="reader_reads")
    b.wait_done(1)
    a = case.phone("client")
    a.values.update(smsip="", target=f"tel:+{b.user.msisdn}", text="are you there?")
    a.start("client_writes")
    a.wait()
    b.wait_done(2)


@scenario(**OF_SIPP)
def short_message_reaches_a_soft_client_as_plain_text(case):
    """Here it is seen that every letter arrives: SIPp does not look behind the zero octets of a DELIVER."""
    a, b = case.phone("writer", "aka"), case.phone("client")
    text = "Which way does it go?"
    b.knows(a)
    b.values.update(smsip="", text=exactly(text))
    b.start("callee_waits", out_of_call="client_reads")
    b.wait_done(1)
    a.values.update(target=f"tel:+{CENTRE}", rpdu=escaped(submit(b.user.msisdn, text)), report=RP_ACK,
                    preferred=f"P-Preferred-Identity: <tel:+{a.user.msisdn}>")
    a.start("writer_writes", out_of_call="writer_is_told")
    a.wait_done(2)
    b.wait_done(2)
