"""Scenarios with baresip as the phones: a whole client with a user agent, a registrar's client and media of its own."""

import time

from registry import scenario
from users import DOMAIN

# RTP packets that the echo must have had, and sent back, before the call ends.
ECHOED = 60
# Packets that a phone must have heard before a call ends, of 50 a second, and that the other one then has heard at least.
HEARD, HEARD_THERE = 40, 20
DEADLINE_SECS = 60


def registered(case, name, kind="md5"):
    """A phone that runs and is registered, as it says and as the server says."""
    phone = case.baresip(name, kind)
    phone.start()
    phone.wait_registered()
    bindings = bindings_of(case, phone)
    assert len(bindings) == 1 and f":{phone.port}" in bindings[0]["uri"], f"{name} has registered, the monitor shows {bindings}"
    assert bindings[0]["transport"].lower() == case.transport and bindings[0]["auth"] == "MD5", f"the binding is {bindings[0]}"
    return phone


def unregister(case, *phones):
    for phone in phones:
        phone.quit()
        bindings = bindings_of(case, phone)
        assert not bindings, f"{phone.name} has unregistered, the monitor shows {bindings}"


def bindings_of(case, phone):
    users = {user["impi"]: user for user in case.server.monitor("users")["users"]}
    return users[phone.user.impi]["bindings"]


def dialog_of(case, phone):
    """What the monitor says of the phone's call."""
    dialogs = [d for d in case.server.monitor("dialog")["dialogs"] if phone.user.imsi in d["from"] or phone.user.msisdn in d["from"]]
    assert len(dialogs) == 1, f"the monitor shows {len(dialogs)} dialogs of {phone.name}: {dialogs}"
    return dialogs[0]


def echo(case, phone):
    """Calls the echo number and hangs up: all RTP that was sent has come back, in its order and unchanged."""
    phone.command("dial", f"sip:666@{DOMAIN}")
    phone.wait_event("CALL_ESTABLISHED")
    deadline = time.monotonic() + DEADLINE_SECS
    while (audio := dialog_of(case, phone)["medias"][0])["rtp_recv_count"] < ECHOED:
        assert time.monotonic() < deadline, f"the echo has no {ECHOED} packets yet: {audio}"
        time.sleep(0.1)
    assert audio["rtp_send_count"] == audio["rtp_recv_count"], f"the echo has kept packets for itself: {audio}"
    phone.command("hangup")
    sent, received = phone.packets()
    # Those that were on their way when the phone hung up it does not wait for.
    assert ECHOED <= received <= sent, f"{phone.name} has sent {sent} RTP packets, {received} came back"
    phone.check_heard(phone, HEARD_THERE)
    deadline = time.monotonic() + DEADLINE_SECS
    while dialog_of(case, phone)["state"] != "stop":
        assert time.monotonic() < deadline, "the call has ended, and the monitor shows it running"
        time.sleep(0.05)


def ring(a, b):
    """A calls B, and B rings."""
    a.command("dial", b.user.impu)
    peer = b.wait_event("CALL_INCOMING")
    assert a.user.imsi in peer or a.user.msisdn in peer, f"{b.name} is called by {peer}, not by {a.name}"


def talk(a, b):
    """A calls B, B answers, they talk."""
    ring(a, b)
    b.command("accept")
    for phone in (a, b):
        phone.wait_event("CALL_ESTABLISHED")
    for phone in (a, b):
        phone.wait_event("CALL_RTPESTAB")
    for phone in (a, b):
        phone.wait_heard(HEARD)


@scenario(media=True)
def baresip_calls_the_echo(case):
    phone = registered(case, "phone")
    echo(case, phone)
    unregister(case, phone)


@scenario
def baresip_with_qop_calls_the_echo(case):
    phone = registered(case, "phone", "md5-qop")
    echo(case, phone)
    unregister(case, phone)


@scenario
def baresip_with_every_request_authenticated_calls_the_echo(case):
    phone = registered(case, "phone", "challenged")
    echo(case, phone)
    unregister(case, phone)


@scenario(server=None)
def baresip_with_a_wrong_password(case):
    """It is refused and knows why, and so does who reads the log."""
    phone = case.baresip("phone", wrong=True)
    phone.start()
    phone.wait_refused()
    assert "403 Forbidden" in phone.output(), f"the phone is refused in another way: {phone.last_words()}"
    case.log_says(phone.user, "wrong password: the client's is not the pwd of")
    assert not bindings_of(case, phone)


@scenario
def baresip_calls_baresip(case):
    """Each hears what the other says; the callee hangs up."""
    a, b = registered(case, "caller"), registered(case, "callee")
    talk(a, b)
    b.command("hangup")
    a.wait_event("CALL_CLOSED")
    for listener, speaker in ((a, b), (b, a)):
        listener.check_heard(speaker, HEARD_THERE)
    unregister(case, a, b)


@scenario
def baresip_holds_baresip(case):
    """The caller holds the call and resumes it; then the caller hangs up."""
    a, b = registered(case, "caller"), registered(case, "callee")
    talk(a, b)
    for command, direction in (("hold", "sendonly"), ("resume", "sendrecv")):
        a.events.clear()
        before = len(b.directions())
        a.command(command)
        a.wait_event("CALL_REMOTE_SDP")
        # What it prints comes when it comes; its own answers say `recvonly`, then `sendrecv`.
        case.until(lambda: direction in b.directions()[before:])
    a.command("hangup")
    b.wait_event("CALL_CLOSED")
    unregister(case, a, b)


@scenario
def baresip_declines_baresip(case):
    a, b = registered(case, "caller"), registered(case, "callee")
    ring(a, b)
    b.command("hangup")
    why = a.wait_event("CALL_CLOSED")
    assert why.startswith(("486", "603")), f"the callee does not want the call, the caller hears {why}"
    unregister(case, a, b)


@scenario
def baresip_cancels_a_call_to_baresip(case):
    a, b = registered(case, "caller"), registered(case, "callee")
    ring(a, b)
    a.command("hangup")
    b.wait_event("CALL_CLOSED")
    unregister(case, a, b)


def sim_user(case, name, *script, **how):
    """A phone with a SIM that registers with AKA, as the server says, and then does what the script says."""
    ue = case.soft_ue(name, **how)
    ue.start(["register", *script])
    deadline = time.monotonic() + DEADLINE_SECS
    while not (bindings := bindings_of(case, ue)):
        ue.check_running()
        assert time.monotonic() < deadline, f"{name} does not come to register: {ue.last_words()}"
        time.sleep(0.05)
    assert bindings[0]["auth"] == "AKAv1-MD5", f"the binding is {bindings[0]}"
    return ue


# A soft UE's script from the call's end: its statistics count what is missing between the first packet and the last.
SPOKE = ("wait ended 60", f"expect rtp-sent >= {HEARD_THERE}", f"expect rtp-received >= {HEARD_THERE}", "expect rtp-lost = 0", "deregister")


def call_to_a_sim_user(case, **how):
    """A client with a password calls a phone with a SIM: each hears the other, and the caller hangs up."""
    phone, ue = registered(case, "caller"), sim_user(case, "callee", "auto-answer on", "wait answered", *SPOKE, **how)
    phone.command("dial", f"sip:+{ue.user.msisdn}@{DOMAIN}")
    phone.wait_event("CALL_ESTABLISHED")
    phone.wait_event("CALL_RTPESTAB")
    phone.wait_heard(HEARD)
    phone.command("hangup")
    ue.wait()
    for listener, speaker in ((phone, ue), (ue, phone)):
        listener.check_heard(speaker, HEARD_THERE)
    unregister(case, phone)


@scenario
def baresip_calls_a_sim_user(case):
    call_to_a_sim_user(case)


@scenario(media=True)
def baresip_calls_a_sim_user_of_the_other_ip_version(case):
    """Their sound passes through the server."""
    call_to_a_sim_user(case, ip="::1" if "." in case.ip else "127.0.0.1")


@scenario
def sim_user_calls_baresip(case):
    """The other way round, and the callee hangs up."""
    phone = registered(case, "callee")
    ue = sim_user(case, "caller", f"call tel:+{phone.user.msisdn}", *SPOKE)
    peer = phone.wait_event("CALL_INCOMING")
    assert ue.user.imsi in peer or ue.user.msisdn in peer, f"the callee is called by {peer}"
    phone.command("accept")
    phone.wait_event("CALL_ESTABLISHED")
    phone.wait_event("CALL_RTPESTAB")
    phone.wait_heard(HEARD)
    phone.command("hangup")
    ue.wait()
    for listener, speaker in ((phone, ue), (ue, phone)):
        listener.check_heard(speaker, HEARD_THERE)
    unregister(case, phone)
