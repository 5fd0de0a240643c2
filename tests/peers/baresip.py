"""A phone that nobody here wrote: baresip, without a screen or a sound card, told what to do through its `ctrl_tcp` module.

Its microphone is a file of noise that no other phone has; what it hears is recorded, so that its audio can be told from others'.
"""

import json
import random
import re
import socket
import struct
import subprocess
import time
import wave

from users import DOMAIN

MODULES = "/usr/lib/baresip/modules"
# G.711 in packets of 20 ms, the usual (RFC 3551 4.2).
RATE, FRAME = 8000, 160
# Length of the microphone's file.
SOURCE_SECS = 20
# Packets that baresip's jitter buffer holds at most (`jitter_buffer_delay`): it forgets them when the call is established, and
# when it ends.
BUFFERED_FRAMES = 10
RTP_PORTS = 10
DEADLINE_SECS = 60
# What `rtp_stats` prints at the end of a call: packets sent and received.
PACKETS = re.compile(r"^packets:\s+(\d+)\s+(\d+)", re.MULTILINE)
DIRECTION = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", re.MULTILINE)
CONFIG = """
sip_listen {host}:{port}
net_interface {ip}
rtp_ports {rtp}-{last_rtp}
rtp_stats yes
audio_source aufile,microphone.wav
audio_path .
snd_path .
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


def ulaw(code):
    """The sample that a code of G.711 mu-law stands for, 16 bits: coded again, it gives the same code."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def noise(seed):
    """Samples of the microphone's file: as good as unique for the seed, and unchanged by the codec.

    Without the two zeros of mu-law, one of which baresip takes for a 2.
    """
    codes = random.Random(seed).choices([code for code in range(256) if code & 0x7F != 0x7F], k=RATE * SOURCE_SECS)
    return struct.pack(f"<{len(codes)}h", *map(ulaw, codes))


def frames_of(samples):
    """The packets that samples go out in."""
    return [samples[start:start + 2 * FRAME] for start in range(0, len(samples), 2 * FRAME)]


def check_heard(name, recording, speaker, at_least):
    """What was recorded must be what the speaker's microphone had, packet by packet and in its order, and so many packets of it.

    Some may be missing: the first ones, which came before the answer, and those for which a busy machine had no time.
    """
    with wave.open(str(recording)) as file:
        heard = frames_of(file.readframes(file.getnframes()))
    said = {frame: number for number, frame in enumerate(frames_of(speaker.microphone))}
    numbers = [said.get(frame) for frame in heard]
    strange = numbers.count(None)
    assert not strange, f"{strange} packets that {name} has heard are not what {speaker.name} has said: {recording}"
    # the first ones may come twice, as the buffer fills
    back = [pair for pair in zip(numbers[BUFFERED_FRAMES:], numbers[BUFFERED_FRAMES + 1:]) if pair[1] <= pair[0]]
    assert not back, f"{name} has heard {speaker.name} out of order: {back} in {numbers}"
    assert len(set(numbers)) >= at_least, f"{name} has heard {len(set(numbers))} packets of {speaker.name}, not {at_least}"


class Baresip:
    """One subscriber's baresip at its own port, registered as soon as it runs. `wrong` gives it a wrong password."""

    def __init__(self, case, user, name, wrong=False):
        self.case, self.user, self.name = case, user, name
        self.folder = case.folder / name
        self.folder.mkdir()
        self.port, self.control_port, rtp = case.ports.take(), case.ports.take(), case.ports.take(RTP_PORTS)
        case.ports.phones.add(self.port)
        self.microphone = noise(user.imsi)
        with wave.open(str(self.folder / "microphone.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(self.microphone)
        host = f"[{case.ip}]" if ":" in case.ip else case.ip
        (self.folder / "config").write_text(CONFIG.format(
            host=host, ip=case.ip, port=self.port, control=self.control_port, rtp=rtp, last_rtp=rtp + RTP_PORTS - 1,
            modules=MODULES))
        (self.folder / "accounts").write_text(
            f'<sip:{user.imsi}@{DOMAIN};transport={case.transport}>;outbound="sip:{host}:{case.server.port};transport={case.transport}"'
            f';auth_user={user.impi};auth_pass={"wrong" if wrong else user.password};regint=600;audio_codecs=pcmu/8000/1\n')
        (self.folder / "contacts").write_text("")
        self.process = self.control = None
        self._received, self.events = b"", []

    def start(self):
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(["baresip", "-f", self.folder, "-s", "-v"], stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, cwd=self.folder)
        deadline = time.monotonic() + DEADLINE_SECS
        while self.control is None:
            try:
                self.control = socket.create_connection(("127.0.0.1", self.control_port))
            except OSError:  # it does not listen yet
                assert self.process.poll() is None and time.monotonic() < deadline, f"{self.name} does not start: {self.last_words()}"
                time.sleep(0.02)

    def output(self):
        """What it has printed, with every message sent and received."""
        return (self.folder / "output").read_text(errors="replace")

    def directions(self):
        """The directions of media in all session descriptions that it got or sent, in their order."""
        return DIRECTION.findall(self.output())

    def last_words(self):
        return "its output ends with:\n" + self.output()[-1500:]

    def _next_message(self, deadline):
        """The next event or response: JSON in a netstring."""
        while True:
            length, colon, rest = self._received.partition(b":")
            if colon and len(rest) > int(length):
                self._received = rest[int(length) + 1:]
                return json.loads(rest[:int(length)])
            self.control.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                more = self.control.recv(65536)
            except TimeoutError:
                raise AssertionError(f"{self.name} keeps us waiting; its events so far: {self.events}; {self.last_words()}") from None
            assert more, f"{self.name} has ended; {self.last_words()}"
            self._received += more

    def command(self, name, parameters=""):
        """Has a command carried out; its answer in words."""
        text = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self.control.sendall(b"%d:%s," % (len(text), text))
        deadline = time.monotonic() + DEADLINE_SECS
        while True:
            message = self._next_message(deadline)
            if message.get("response"):
                assert message["ok"], f"{self.name} refuses the command {name}: {message}"
                return message["data"]
            self.events.append(message)

    def wait_event(self, kind):
        """Waits for an event of this kind; its parameter, in words."""
        deadline = time.monotonic() + DEADLINE_SECS
        while True:
            for event in self.events:
                if event["type"] == kind:
                    self.events.remove(event)
                    return event.get("param", "")
                assert event["type"] != "CALL_CLOSED", f"{self.name}: the call has ended, before {kind}: {event}"
            self.events.append(self._next_message(deadline))

    def wait_registered(self):
        """Waits until it says that it is registered. (It may have said so before anybody could listen: no event.)"""
        return self._wait_status("OK")

    def wait_refused(self):
        """Waits until it says that it could not register."""
        return self._wait_status("ERR")

    def _wait_status(self, wanted):
        deadline = time.monotonic() + DEADLINE_SECS
        while True:
            status = self.command("reginfo")
            if wanted in status:
                return
            other = {"OK": "ERR", "ERR": "OK"}[wanted]
            assert other not in status, f"{self.name} says of its registration: {status.strip()}; {self.last_words()}"
            assert time.monotonic() < deadline, f"{self.name} does not come to register: {self.last_words()}"
            time.sleep(0.02)

    def quit(self):
        """Has it unregister and end."""
        self.command("quit")
        code = self.process.wait(timeout=DEADLINE_SECS)
        assert code == 0, f"{self.name} ended with exit code {code}: {self.last_words()}"

    def packets(self):
        """RTP packets sent and received, of the call that has ended last."""
        counts = PACKETS.findall(self.output())
        assert counts, f"{self.name} has counted no call: {self.last_words()}"
        return tuple(int(count) for count in counts[-1])

    def recordings(self):
        """What it has heard, a file for each call."""
        return sorted(self.folder.glob("dump-*-dec.wav"))

    def wait_heard(self, packets):
        """Waits until it has heard so many packets in its call."""
        deadline = time.monotonic() + DEADLINE_SECS
        while not (self.recordings() and self.recordings()[-1].stat().st_size >= 2 * FRAME * packets):
            assert time.monotonic() < deadline, f"{self.name} does not hear {packets} packets: {self.last_words()}"
            time.sleep(0.05)

    def check_heard(self, speaker, at_least):
        """What it has heard in its last call is what the speaker has said."""
        assert self.recordings(), f"{self.name} has recorded nothing"
        check_heard(self.name, self.recordings()[-1], speaker, at_least)

    def stop(self):
        """Ends the process if it still runs."""
        if self.control is not None:
            self.control.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
