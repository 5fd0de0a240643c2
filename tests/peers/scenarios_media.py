"""Scenarios with SIPp as the phones, and media that is really sent: what passes through the server, and what it misses."""

import re

from checks import checks
from media import AUDIO, TEXT, VIDEO, Stream
from registry import scenario
from scenarios import call
from users import DOMAIN

MEDIA = re.compile(r"media: c=IN IP[46] (\S+) m=audio (\d+)\s+m=video (\d+)\s+m=text (\d+)")


class Talk:
    """A call with sound, pictures and text between two phones, up until it is ended."""

    def __init__(self, case, **callee):
        self.case = case
        self.phones = [case.phone("caller", video=True, text=True), case.phone("callee", video=True, text=True, **callee)]
        self.streams = []

    def __enter__(self):
        a, b = self.phones
        a.knows(b)
        b.knows(a)
        a.values.update(target=b.user.impu, why="SIP")
        b.start("callee_waits", out_of_call="callee_talks")
        b.wait_done(1)
        a.start("caller_talks")
        a.wait_done(1)
        self.streams = [[Stream(phone.ip, phone.audio, 0, AUDIO), Stream(phone.ip, phone.video, 99, VIDEO), Stream(phone.ip, phone.text, 98, TEXT)]
                        for phone in self.phones]
        return self

    def places(self, phone):
        """Where the phone was told to send each kind of media."""
        ip, *ports = MEDIA.search(phone.path("log").read_text()).groups()
        return [(ip, int(port)) for port in ports]

    def dialog(self):
        """What the server's monitor says of the caller's side."""
        dialogs = self.case.server.monitor("dialog")["dialogs"]
        user = self.phones[0].user
        return next(d for d in dialogs if d["type"] == "server" and (user.imsi in d["from"] or user.msisdn in d["from"]))

    def __exit__(self, *_):
        for stream in sum(self.streams, []):
            stream.close()


def passes(talk):
    """Sends all media in both directions; every packet arrives as it was sent, from where the receiver sends to."""
    (a, b), (of_a, of_b) = talk.phones, talk.streams
    for n in range(len(of_a)):
        to_a, to_b = talk.places(a)[n], talk.places(b)[n]
        of_a[n].exchange(to_a, other=of_b[n], far_server=to_b)
        of_b[n].exchange(to_b, other=of_a[n], far_server=to_a)


def ended_by_the_monitor(talk):
    talk.case.server.monitor("dialog_stop", str(talk.dialog()["index"]))
    talk.phones[0].wait()
    talk.phones[1].wait_done(2)


@scenario(media=True)
def media_between_ip_versions_pass_through_the_server(case):
    """Sound, pictures and text, RTP and RTCP, in both directions."""
    with Talk(case, ip="::1" if "." in case.ip else "127.0.0.1") as talk:
        for phone in talk.phones:
            assert {ip for ip, _ in talk.places(phone)} == {phone.ip}, f"{phone.name} is to send to {talk.places(phone)}"
        passes(talk)
        counted = [media["rtp_recv_count"] for media in talk.dialog()["medias"]]
        assert len(counted) == 3 and all(counted), f"the monitor has counted {counted}"
        ended_by_the_monitor(talk)


@scenario
def media_of_one_ip_version_go_from_phone_to_phone(case):
    """Sound, pictures and text: each phone is told the other one's own ports."""
    with Talk(case) as talk:
        for phone, other in (talk.phones, reversed(talk.phones)):
            own = [(other.ip, port) for port in (other.audio, other.video, other.text)]
            assert talk.places(phone) == own, f"{phone.name} is to send to {talk.places(phone)}, not to {own}"
        ended_by_the_monitor(talk)


@scenario(server="impatient")
def call_through_the_server_ends_in_silence(case):
    """Nobody sends anything for dialog_timeout: both are told why the call is over."""
    with Talk(case, ip="::1" if "." in case.ip else "127.0.0.1") as talk:
        talk.phones[0].wait()
        talk.phones[1].wait_done(2)
        assert "neither media nor signalling" in talk.dialog()["reason"], f"the monitor says {talk.dialog()['reason']}"


@scenario(server="impatient")
def echo_call_ends_in_silence(case):
    phone = case.phone("caller", video=True)
    phone.values["target"] = f"sip:666@{DOMAIN}"
    phone.start("caller_of_echo_is_hung_up")
    phone.wait()


@scenario
def identity_that_takes_sound_alone(case):
    """It is offered neither the pictures nor the text, and the caller hears that they are refused."""

    def prepare(phone):
        refused = "m=video 0 .*m=text 0 "
        phone.values.update(invite_checks=checks([refused]), answer_checks=checks([refused]))
        if phone.name == "callee":
            phone.values["answer"] = phone.values["answer"].replace(f"m=video {phone.video}", "m=video 0").replace(f"m=text {phone.text}", "m=text 0")

    call(case, "caller_says", "callee_says", callee={"kind": "voice"}, media={"video": True, "text": True}, prepare=prepare)
