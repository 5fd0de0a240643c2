"""The scenarios: each a function of a Case, which gives it subscribers, phones, the server and a folder."""

import socket

from media import Stream
from phone import Phone
from users import DOMAIN, User

# One packet's worth of media: 20 ms of G.711, and an H.264 unit of filler data (7.3.2.7) as long as video packets are.
AUDIO = bytes(range(160))
VIDEO = b"\x0c" + b"\xff" * 1100 + b"\x80"
SCENARIOS = []


def scenario(function=None, *, server="patient"):
    """Registers a scenario; `server` names the server it runs against."""

    def register(function):
        SCENARIOS.append((function.__name__, function, server))
        return function

    return register(function) if function else register


def alone(case, name, kind="md5", **how):
    """One phone runs one scenario to its end."""
    phone = case.phone("phone", kind, **how)
    phone.start(name)
    phone.wait()
    return phone


def call(case, caller_does, callee_does, kind="md5", target=None, **values):
    """B registers and waits for calls, A registers and calls B; both must come to the end of their scenarios."""
    a, b = case.phone("caller", kind), case.phone("callee", kind)
    a.knows(b)
    b.knows(a)
    a.values["target"] = target(b.user) if target else b.user.impu
    for phone in (a, b):
        phone.values.update(values)
    b.start("callee_waits", out_of_call=callee_does)
    b.wait_done(1)
    a.start(caller_does)
    a.wait()
    b.wait_done(2)
    return a, b


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
def wrong_password(case):
    phone = alone(case, "wrong_password", wrong=True)
    case.log_says(phone.user, "password")


@scenario
def wrong_key(case):
    phone = alone(case, "wrong_key", "aka")
    case.log_says(phone.user, "key")


@scenario
def unknown_user(case):
    stranger = Phone(case, User("md5", 999_000_000), "phone")
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


def control_of(phone):
    """A listening socket for the phone's sendCmd and recvCmd, and its address in words."""
    listener = socket.create_server(("127.0.0.1", phone.case.ports.take()))
    listener.settimeout(30)
    return listener, "127.0.0.1:%d" % listener.getsockname()[1]


def read_command(connection):
    """One command of SIPp: lines up to an escape character."""
    text = b""
    while b"\x1b" not in text:
        more = connection.recv(4096)
        assert more, f"SIPp closed its control connection after {text!r}"
        text += more
    return text.decode(errors="replace")


@scenario
def echo_returns_all_media(case):
    """Audio and video, RTP and RTCP, from both addresses of the answer; every packet comes back."""
    phone = case.phone("caller", video=True)
    phone.values["target"] = f"sip:666@{DOMAIN}"
    streams = [Stream(case.ip, phone.audio, 0, AUDIO), Stream(case.ip, phone.video, 99, VIDEO)]
    listener, address = control_of(phone)
    try:
        phone.start("caller_of_echo", control=address)
        connection = listener.accept()[0]
        connection.settimeout(30)
        command = read_command(connection)
        words = command.split("Answer:")[1].split()
        # c=IN IP4 <address> m=audio <port> m=video <port>
        ip, ports = words[2], (int(words[4]), int(words[6]))
        assert ip == case.ip, f"the answer's address is {ip}, not {case.ip}"
        for stream, port in zip(streams, ports):
            stream.exchange((ip, port))
        call_id = next(line for line in command.splitlines() if line.startswith("Call-ID:"))
        connection.sendall(f"{call_id}\r\nMedia: returned\r\n\r\n\x1b".encode())
        phone.wait()
    finally:
        listener.close()
        for stream in streams:
            stream.close()
