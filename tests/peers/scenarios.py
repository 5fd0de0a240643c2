"""Scenarios with SIPp as the phones: registrations, subscriptions, calls, echo, the server's end."""

import socket
import time

from media import AUDIO, PACKETS, RTCP_PACKETS, TEXT, VIDEO, Stream
from phone import Phone
from registry import scenario
from users import DOMAIN, User

# Time that an idle server is watched, and how often until the log's and the disk's writers must have come to rest.
IDLE_SECS, IDLE_TIMES = 3, 8


def alone(case, name, kind="md5", **how):
    """One phone runs one scenario to its end."""
    phone = case.phone("phone", kind, **how)
    phone.start(name)
    phone.wait()
    return phone


def call(case, caller_does, callee_does, kind="md5", target=None, callee=None, more=None, prepare=None, media=None, **values):
    """B registers and waits for calls, A registers and calls B; both must come to the end of their scenarios.

    `target` gives the Request-URI for a user (its SIP identity if absent), `callee` what is special about B's phone, `values` what
    both phones say. `media` has the kinds of media that both have beside sound, `more` has lines that are added to values, `prepare` changes what a phone says.
    """
    media = media or {}
    a, b = case.phone("caller", kind, **media), case.phone("callee", **{"kind": kind, **media, **(callee or {})})
    a.knows(b)
    b.knows(a)
    a.values["target"] = target(b.user) if target else b.user.impu
    for phone in (a, b):
        phone.values.update(values)
        for name, lines in (more or {}).items():
            phone.values[name] += "\n" + lines
        if prepare:
            prepare(phone)
    b.start("callee_waits", out_of_call=callee_does)
    b.wait_done(1)
    a.start(caller_does)
    a.wait()
    b.wait_done(2)


def refused_call(case, target, expected):
    """A registers and calls a number that answers nothing but a failure."""
    a = case.phone("caller")
    a.values.update(target=target, expected=expected)
    a.start("caller_is_refused")
    a.wait()


@scenario
def register_md5(case):
    alone(case, "register")


@scenario
def register_aka(case):
    alone(case, "register", "aka")


@scenario
def register_md5_with_qop(case):
    alone(case, "register", "md5-qop")


@scenario
def register_aka_with_qop(case):
    alone(case, "register", "aka-qop")


@scenario
def refresh_md5(case):
    alone(case, "refresh")


@scenario
def refresh_aka(case):
    alone(case, "refresh", "aka")


@scenario
def deregister(case):
    alone(case, "deregister")


@scenario
def deregister_all(case):
    alone(case, "deregister_all")


@scenario
def deregister_aka(case):
    alone(case, "deregister", "aka")


@scenario
def subscribe_to_the_registration(case):
    phone = case.phone("phone")
    phone.values["target"] = phone.user.impu
    phone.start("subscribe")
    phone.wait()


@scenario
def subscriber_is_told_when_the_network_unregisters_it(case):
    phone = case.phone("phone")
    phone.start("subscriber_is_unregistered")
    phone.wait_done()
    case.server.monitor("unregister", phone.user.impu)
    phone.wait()


@scenario(server=None)
def wrong_password(case):
    phone = alone(case, "wrong_password", wrong=True)
    case.log_says(phone.user, "password")


@scenario(server=None)
def wrong_key(case):
    phone = alone(case, "wrong_key", "aka")
    case.log_says(phone.user, "mac failure")


@scenario
def unknown_user(case):
    stranger = Phone(case, User("md5", 99_000_000), "phone")
    case.phones.append(stranger)
    stranger.start("unknown_user")
    stranger.wait()


@scenario
def call_caller_hangs_up(case):
    call(case, "caller_hangs_up", "callee_is_hung_up")


@scenario
def call_callee_hangs_up(case):
    call(case, "caller_is_hung_up", "callee_hangs_up")


@scenario
def call_of_aka_users(case):
    call(case, "caller_hangs_up", "callee_is_hung_up", kind="aka")


@scenario
def call_by_tel_uri(case):
    call(case, "caller_hangs_up", "callee_is_hung_up", target=lambda user: f"tel:+{user.msisdn}")


@scenario
def call_by_sip_uri_of_a_phone(case):
    call(case, "caller_hangs_up", "callee_is_hung_up", target=lambda user: f"sip:+{user.msisdn}@{DOMAIN};user=phone")


@scenario
def call_by_local_number(case):
    call(case, "caller_hangs_up", "callee_is_hung_up", target=lambda user: f"tel:{user.msisdn};phone-context={DOMAIN}")


@scenario
def call_with_hold_and_resume(case):
    call(case, "caller_holds", "callee_is_held")


@scenario
def call_cancelled(case):
    call(case, "caller_cancels", "callee_is_cancelled")


@scenario
def call_busy(case):
    call(case, "caller_is_refused", "callee_refuses", expected="486", refusal="486 Busy Here")


@scenario
def call_declined(case):
    call(case, "caller_is_refused", "callee_refuses", expected="603", refusal="603 Decline")


@scenario(server="impatient")
def call_not_answered(case):
    call(case, "caller_is_not_answered", "callee_is_cancelled")


@scenario
def call_to_a_phone_that_is_not_registered(case):
    refused_call(case, case.users.take().impu, 480)


@scenario
def call_to_a_phone_that_has_unregistered(case):
    gone = alone(case, "deregister")
    refused_call(case, f"tel:+{gone.user.msisdn}", 480)


@scenario
def call_to_an_unknown_number(case):
    refused_call(case, "tel:+4470000000000", 404)


@scenario
def call_with_prack_update_and_info(case):
    call(case, "caller_with_100rel", "callee_with_100rel")


@scenario
def call_with_every_request_authenticated(case):
    call(case, "caller_is_challenged", "callee_is_hung_up", kind="challenged")


@scenario
def call_between_transports(case):
    """One phone on UDP, the other on TCP."""
    call(case, "caller_hangs_up", "callee_is_hung_up", callee={"transport": "tcp" if case.transport == "udp" else "udp"})


@scenario
def call_between_ip_versions(case):
    """One phone on IPv4, the other on IPv6: to each the media are at a port of the server's, of its own version."""
    ports = "|".join(str(port) for port in range(case.server.media_min, case.server.media_max, 2))
    call(case, "caller_is_hung_up", "callee_hangs_up", callee={"ip": "::1" if "." in case.ip else "127.0.0.1"}, peer_audio_port=f"({ports})")


@scenario
def call_to_two_phones_of_one_user(case):
    """Both ring, one answers, the other is cancelled."""
    a, answering = case.phone("caller"), case.phone("answering")
    ringing = case.phone("ringing", user=answering.user)
    a.knows(answering)
    a.values["target"] = answering.user.impu
    for phone, does in ((ringing, "callee_is_cancelled"), (answering, "callee_is_hung_up")):
        phone.knows(a)
        phone.start("callee_waits", out_of_call=does)
        phone.wait_done(1)
    a.start("caller_of_two_phones")
    a.wait()
    answering.wait_done(2)
    ringing.wait_done(2)


def control_of(phone):
    """A listening socket for the phone's sendCmd and recvCmd, and its address in words."""
    listener = socket.create_server(("127.0.0.1", phone.case.ports.take()))
    listener.settimeout(60)
    return listener, "127.0.0.1:%d" % listener.getsockname()[1]


def read_command(connection):
    """One command of SIPp: lines up to an escape character."""
    text = b""
    while b"\x1b" not in text:
        more = connection.recv(4096)
        assert more, f"SIPp closed its control connection after {text!r}"
        text += more
    return text.decode(errors="replace")


class EchoCall:
    """A phone that calls the echo number; `with` it, the call is up and waits to be told to go on."""

    def __init__(self, case):
        self.case, self.phone = case, case.phone("caller", video=True, text=True)
        self.phone.values["target"] = f"sip:666@{DOMAIN}"
        self.streams = [Stream(case.ip, self.phone.audio, 0, AUDIO), Stream(case.ip, self.phone.video, 99, VIDEO),
                        Stream(case.ip, self.phone.text, 98, TEXT)]
        self.listener, self.control = control_of(self.phone)

    def __enter__(self):
        self.phone.start("caller_of_echo", control=self.control)
        self.connection = self.listener.accept()[0]
        self.connection.settimeout(60)
        command = read_command(self.connection)
        self.call_id = next(line for line in command.splitlines() if line.startswith("Call-ID:"))
        # c=IN IP4 <address> m=audio <port> m=video <port> m=text <port>
        words = command.split("Answer:")[1].split()
        self.media = [(words[2], int(port)) for port in words[4:9:2]]
        return self

    def go_on(self):
        self.connection.sendall(f"{self.call_id}\r\n\r\n\x1b".encode())
        self.phone.wait()

    def dialog(self):
        """What the server's monitor says of the call."""
        dialogs = self.case.server.monitor("dialog")["dialogs"]
        own = [dialog for dialog in dialogs if self.phone.user.imsi in dialog["from"] or self.phone.user.msisdn in dialog["from"]]
        assert len(own) == 1, f"the monitor shows {len(own)} dialogs of {self.phone.user.imsi}: {dialogs}"
        return own[0]

    def __exit__(self, *_):
        self.listener.close()
        for stream in self.streams:
            stream.close()


@scenario(media=True)
def echo_returns_all_media(case):
    """Audio, video and text, RTP and RTCP: every packet comes back unchanged, and the monitor has counted them."""
    with EchoCall(case) as call:
        for stream, (ip, port) in zip(call.streams, call.media):
            assert ip == case.ip, f"the answer's address is {ip}, not {case.ip}"
            stream.exchange((ip, port))
        counted = {media["type"]: media for media in call.dialog()["medias"]}
        for kind in ("audio", "video", "text"):
            for name, sent in (("rtp", PACKETS), ("rtcp", RTCP_PACKETS)):
                for way in ("recv", "send"):
                    count = counted[kind][f"{name}_{way}_count"]
                    assert count == sent, f"the monitor counts {count} {name} {way} of {kind}, not {sent}"
        call.go_on()
        assert call.dialog()["state"] == "stop", "the call has ended, and the monitor shows it running"


@scenario
def echo_call_ended_by_the_monitor(case):
    phone = case.phone("caller", video=True)
    phone.values["target"] = "tel:666"
    phone.start("caller_of_echo_is_hung_up")
    phone.wait_done()
    dialogs = case.server.monitor("dialog")["dialogs"]
    index = next(d["index"] for d in dialogs if phone.user.imsi in d["from"] or phone.user.msisdn in d["from"])
    case.server.monitor("dialog_stop", str(index))
    phone.wait()


@scenario
def monitor_shows_who_is_registered(case):
    phone = alone(case, "register", "aka")
    users = {user["impi"]: user for user in case.server.monitor("users")["users"]}
    bindings = users[phone.user.impi]["bindings"]
    assert len(bindings) == 1, f"one phone has registered, the monitor shows {bindings}"
    binding = bindings[0]
    assert f":{phone.port}" in binding["uri"], f"the binding's URI is {binding['uri']}"
    assert binding["transport"].lower() == case.transport and binding["auth"] == "AKAv1-MD5", f"the binding is {binding}"


@scenario(server=None)
def calls_end_when_the_server_ends(case):
    """SIGTERM: the phone in a call gets a BYE before the program ends."""
    phone = case.phone("caller", video=True)
    phone.values["target"] = "tel:666"
    phone.start("caller_of_echo_is_hung_up")
    phone.wait_done()
    problem = case.server.stop()
    assert problem is None, f"the server: {problem}"
    phone.wait()


@scenario(server=None, transports=("udp",))
def registrations_outlive_the_server(case):
    """A phone registered before a restart is called after it."""
    a, b = case.phone("caller"), case.phone("callee")
    a.knows(b)
    b.knows(a)
    a.values["target"] = b.user.impu
    b.start("callee_waits", out_of_call="callee_is_hung_up")
    b.wait_done(1)
    problem = case.server.stop()
    assert problem is None, f"the server: {problem}"
    case.server.start()
    a.start("caller_hangs_up")
    a.wait()
    b.wait_done(2)


def woken_in(server, secs):
    """How often the server's threads have gone to sleep in so many seconds."""
    before = server.wakeups()
    time.sleep(secs)
    return server.wakeups() - before


@scenario(server=None, transports=("udp",))
def idle_server_does_not_wake_up(case):
    """Nothing happens and no timer is near: no thread of the server runs."""
    phone = alone(case, "register")
    case.log_says(phone.user, "register")
    # The transactions' last timers are minutes away; who wakes up without one does so again and again.
    woken = []
    while 0 not in woken and len(woken) < IDLE_TIMES:
        woken.append(woken_in(case.server, IDLE_SECS))
    assert 0 in woken, f"the idle server has woken up {woken} times in {IDLE_SECS} s each"
