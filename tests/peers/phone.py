"""A phone: one SIPp process with a scenario of tests/peers/sipp, filled in for one subscriber."""

import pathlib
import re
import subprocess
import time

from template import fill, include
from users import DOMAIN

SCENARIOS = pathlib.Path(__file__).parent / "sipp"
# Milliseconds that a scenario waits for a message, seconds that it may take as a whole.
RECEIVE_TIMEOUT_MS = 40000
TIMEOUT_SECS = 100
# SIPp 3.6 reads past the end of AKA keys when it parses a scenario, and about one start in fifty stumbles over what it finds
# there, before it sends anything. A scenario that really is wrong stumbles every time.
STILLBORN = "Syntax error or invalid [keyword] in scenario while parsing ''"
STARTS = 5
# What SIPp says of a regular expression that should have matched, and of one that should not.
FAILED_CHECK = re.compile("Failed regexp match|Regexp matched but should not")
# Users of a crowd that begin in a second at most.
CROWD_PER_SEC = 1000


def sdp(ip, version, audio, video, direction, text=0):
    """A session description of a phone with G.711 audio, and H.264 video and real-time text (RFC 4103) if a port is given."""
    family = "IP6" if ":" in ip else "IP4"
    lines = ["v=0", f"o=- 1 {version} IN {family} {ip}", "s=-", f"c=IN {family} {ip}", "t=0 0",
             f"m=audio {audio} RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000",
             "a=fmtp:101 0-15", "a=ptime:20", f"a={direction}"]
    if video:
        lines += [f"m=video {video} RTP/AVP 99", "a=rtpmap:99 H264/90000",
                  "a=fmtp:99 profile-level-id=42e00c;packetization-mode=1", f"a={direction}"]
    if text:
        lines += [f"m=text {text} RTP/AVP 98", "a=rtpmap:98 t140/1000", f"a={direction}"]
    return "\n".join(lines)


class Phone:
    """One subscriber's phone at its own port. `values` are further names for its scenarios."""

    def __init__(self, case, user, name, video=False, text=False, wrong=False, transport=None, ip=None, port=None):
        self.case, self.user, self.name, self.wrong = case, user, name, wrong
        self.transport, self.ip = transport or case.transport, ip or case.ip
        self.port = port or case.ports.take()
        case.ports.phones.add(self.port)
        self.audio = case.ports.take(2)
        self.video = case.ports.take(2) if video else 0
        self.text = case.ports.take(2) if text else 0
        self.process = self.command = None
        self.starts_left, self.crowd, self.at_a_time = 0, [], 1
        self.values = {
            "user": user.imsi, "imsi": user.imsi, "msisdn": user.msisdn, "impi": user.impi, "impu": user.impu,
            "domain": DOMAIN, "host": "[local_ip]", "ip": self.ip, "transport": self.transport,
            "contact": f"<sip:{user.imsi}@[local_ip]:[local_port];transport={self.transport}>",
            "unauthorized": f'Authorization: Digest username="{user.impi}",realm="{DOMAIN}",uri="sip:{DOMAIN}",nonce="",response=""',
            "authorized": f"[authentication {user.credentials(wrong)}]",
            "nothing": "User-Agent: sipp", "newline": "\n", "invite_headers": "%{nothing}", "smsip": ";+g.3gpp.smsip", "features": "",
            "service": "urn:service:sos", "preferred": f"P-Preferred-Identity: <{user.impu}>", "offer_type": "application/sdp", "answer_type": "application/sdp",
            # what is said, and looked at, in a call that is about nothing else
            "ringing_headers": "%{nothing}", "answer_headers": "%{nothing}", "bye_headers": "%{nothing}", "invite_checks": "",
            "ringing_checks": "", "answer_checks": "", "ack_checks": "", "bye_checks": "", "bye_answer_checks": "",
            # what an exchange of offers inside the call asks and gets, and what comes of the next one
            "change": "a=sendonly", "changed": "a=recvonly", "changed_back": "a=sendrecv",
            # option tags of a call with reliable responses, and what its descriptions say of resources
            "extensions": "100rel", "waits": "", "is_ready": "",
        }
        for key, version, direction in (
            ("offer", 1, "sendrecv"), ("answer", 1, "sendrecv"), ("update_offer", 2, "sendrecv"), ("updated_answer", 2, "sendrecv"),
            ("hold_offer", 2, "sendonly"), ("held_answer", 2, "recvonly"), ("resume_offer", 3, "sendrecv"),
            ("resumed_answer", 3, "sendrecv"),
        ):
            self.values[key] = sdp(self.ip, version, self.audio, self.video, direction, self.text)

    def knows(self, peer):
        """Fills in what the scenarios check about the peer's phone."""
        self.peer = peer
        self.values["peer_audio_port"] = peer.audio
        self.values["peer_msisdn"] = peer.user.msisdn
        self.values["peer_identity"] = f"({peer.user.imsi}|{peer.user.msisdn})"

    def stands_for(self, users, at_a_time):
        """Has it run its scenario for each of these users, so many at a time; all are alike but for their IMSI and password."""
        self.crowd, self.at_a_time = users, at_a_time
        self.values = {name: str(value).replace(self.user.imsi, "[field0]") for name, value in self.values.items()}
        self.values["authorized"] = "[field1]"

    def path(self, what):
        return self.case.folder / f"{self.name}.{what}"

    def compose(self, scenario):
        """Writes the scenario with everything filled in; it can be run again as it is."""
        read = lambda part: (SCENARIOS / "parts" / f"{part}.xml").read_text()
        text = include((SCENARIOS / f"{scenario}.xml").read_text(), read)
        path = self.path(f"{scenario}.xml")
        path.write_text(fill(text, self.values))
        return path

    def start(self, scenario, out_of_call=None, control=None):
        """Starts SIPp; `out_of_call` is the scenario for calls that come in, `control` the address for sendCmd and recvCmd."""
        host = "[::1]" if ":" in self.ip else "127.0.0.1"
        command = [
            "sipp", f"{host}:{self.case.server.port}", "-sf", self.compose(scenario), "-i", self.ip, "-p", self.port,
            "-t", "t1" if self.transport == "tcp" else "u1", "-m", 1, "-l", 1, "-nostdin", "-skip_rlimit",
            "-cp", self.case.ports.take(), "-mi", self.ip, "-mp", self.case.ports.take(4),
            "-recv_timeout", RECEIVE_TIMEOUT_MS, "-timeout", f"{TIMEOUT_SECS}s", "-timeout_error",
            "-trace_err", "-error_file", self.path("errors"), "-trace_msg", "-message_file", self.path("messages"),
            "-trace_logs", "-log_file", self.path("log"),
        ]
        if self.crowd:
            lines = [f"{user.imsi};[authentication {user.credentials(self.wrong)}]" for user in self.crowd]
            self.path("csv").write_text("\n".join(["SEQUENTIAL", *lines]) + "\n")
            command += ["-inf", self.path("csv"), "-m", len(self.crowd), "-l", self.at_a_time, "-r", CROWD_PER_SEC]
        if out_of_call:
            command += ["-oocsf", self.compose(out_of_call)]
        if control:
            command += ["-3pcc", control]
        self.command = [str(word) for word in command]
        self.path("command").write_text(" ".join(self.command) + "\n")
        self.starts_left = STARTS
        self._spawn()

    def _spawn(self):
        self.starts_left -= 1
        # A scenario that is run again must not be judged by what the first run left.
        for what in ("errors", "log", "messages"):
            self.path(what).unlink(missing_ok=True)
        with open(self.path("output"), "wb") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.case.folder)

    def _stillborn(self):
        """Whether the process that has ended was one of the starts that SIPp stumbles over; starts another one then."""
        sent = self.path("messages").exists() and self.path("messages").stat().st_size > 0
        if sent or STILLBORN not in self.complaint() or not self.starts_left:
            return False
        self._spawn()
        return True

    def wait(self):
        """Waits for the end of the scenario; raises when it failed."""
        code = self.process.wait(timeout=TIMEOUT_SECS + 30)
        while code != 0 and self._stillborn():
            code = self.process.wait(timeout=TIMEOUT_SECS + 30)
        if code != 0:
            raise AssertionError(f"{self.name} failed (SIPp's exit code {code}): {self.complaint()}")

    def wait_done(self, count=1, deadline_secs=60):
        """Waits until the scenarios have logged `scenario done` so many times."""
        deadline = time.monotonic() + deadline_secs
        while True:
            text = self.path("log").read_text(errors="replace") if self.path("log").exists() else ""
            if text.count("scenario done") >= count:
                return self._check_seen()
            if self.process.poll() is not None and not self._stillborn():
                raise AssertionError(f"{self.name} ended early (SIPp's exit code {self.process.returncode}): {self.complaint()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not come to its end: {self.complaint()}")
            time.sleep(0.02)

    def _check_seen(self):
        """Raises when a check of a message has failed: in a scenario for calls that come in SIPp notes that, and goes on."""
        errors = self.path("errors").read_text(errors="replace") if self.path("errors").exists() else ""
        assert not FAILED_CHECK.search(errors), f"{self.name} has got what it should not: {errors[:1500]}"

    def wait_listening(self, deadline_secs=60):
        """Waits until the process has its port: for one that is called before it has sent anything."""
        wanted = f":{self.port:04X} "
        tables = [pathlib.Path(f"/proc/net/{self.transport}{version}") for version in ("", "6")]
        deadline = time.monotonic() + deadline_secs
        while not any(wanted in line.split(":", 1)[1][:50] for table in tables for line in table.read_text().splitlines()[1:]):
            if self.process.poll() is not None and not self._stillborn():
                raise AssertionError(f"{self.name} ended early (SIPp's exit code {self.process.returncode}): {self.complaint()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not listen: {self.complaint()}")
            time.sleep(0.02)

    def complaint(self):
        """What SIPp said about its failure, and the last message's first line."""
        errors = self.path("errors").read_text(errors="replace").strip() if self.path("errors").exists() else ""
        if not errors:
            errors = self.path("output").read_text(errors="replace").strip()[-600:]
        return errors[:1500] or "it said nothing"

    def stop(self):
        """Ends the process if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
