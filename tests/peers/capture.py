"""tshark as the judge of what the server sends: no frame of it may be malformed or carry an expert error."""

import pathlib
import signal
import subprocess
import time

# Severities of Wireshark's expert.
WARNING, ERROR = 0x0060_0000, 0x0080_0000
FIELDS = ["frame.number", "ip.version", "frame.protocols", "ip.src", "udp.srcport", "tcp.srcport", "udp.dstport", "tcp.dstport",
          "sip.Method", "sip.Status-Code", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message"]


class Capture:
    """A capture on loopback of everything in the block of ports."""

    def __init__(self, folder, ports):
        self.file = pathlib.Path(folder) / "capture.pcapng"
        self.errors = pathlib.Path(folder) / "dumpcap.output"
        self.ports = ports
        self.process = None

    def start(self):
        with open(self.errors, "wb") as output:
            self.process = subprocess.Popen(
                ["dumpcap", "-q", "-i", "lo", "-B", "64", "-f", f"portrange {self.ports.first}-{self.ports.last}", "-w", self.file],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + 60
        while not (self.file.exists() and self.file.stat().st_size):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"capturing on loopback is not possible (root, or the group wireshark, can): "
                                   f"{self.errors.read_text(errors='replace').strip()}")
            time.sleep(0.05)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            time.sleep(0.5)  # what is still in dumpcap's buffer
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=60)

    def frames(self, servers):
        """The frames that the servers sent, each a dict of FIELDS."""
        sip = [word for server in servers for kind in ("udp", "tcp") for word in ("-d", f"{kind}.port=={server.port},sip")]
        fields = [word for field in FIELDS for word in ("-e", field)]
        done = subprocess.run(["tshark", "-n", "-r", self.file, *sip, "-T", "fields", "-E", "separator=\t", "-E", "occurrence=a", *fields],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise RuntimeError(f"tshark: {done.stderr.strip()}")
        frames = [dict(zip(FIELDS, line.split("\t"))) for line in done.stdout.splitlines()]
        return [frame for frame in frames if self._is_ours(frame, servers)]

    def _is_ours(self, frame, servers):
        source, destination = (frame[f"udp.{end}"] or frame[f"tcp.{end}"] for end in ("srcport", "dstport"))
        if not source:
            return False
        # An ICMP error quotes the ports of the packet it is about; the first pair would be the quoted one.
        if "icmp" in frame["frame.protocols"]:
            return False
        source, destination = int(source.split(",")[0]), int(destination.split(",")[0])
        own = lambda port: any(port == s.port or s.media_min <= port <= s.media_max for s in servers)
        # A connection that the server opens to a phone comes from a port outside the block.
        opened = frame["tcp.srcport"] and not self.ports.first <= source <= self.ports.last and destination in self.ports.phones
        return own(source) or opened


def faults(frame):
    """What tshark says is wrong with the frame."""
    severities = [int(value) for value in frame["_ws.expert.severity"].split(",") if value]
    found = []
    if frame["_ws.malformed"]:
        found.append("malformed")
    if any(severity >= ERROR for severity in severities):
        found.append(f"expert error: {frame['_ws.expert.message']}")
    return [f"frame {frame['frame.number']}: {words} ({frame['frame.protocols']})" for words in found]


def warnings(frame):
    """What tshark finds strange in the frame, but not wrong."""
    severities = [value for value in frame["_ws.expert.severity"].split(",") if value]
    return {frame["_ws.expert.message"]} if str(WARNING) in severities else set()


def kind_of(frame):
    """`udp/ipv4`… of a frame with SIP, `rtp` and `rtcp` of media; None of anything else (TCP's own frames)."""
    protocols = frame["frame.protocols"].split(":")
    if frame["sip.Method"] or frame["sip.Status-Code"]:
        return f"{'tcp' if 'tcp' in protocols else 'udp'}/ipv{'6' if 'ipv6' in protocols else '4'}"
    for media in ("rtcp", "rtp"):
        if media in protocols:
            return media
    return None
