"""The server under test: its configuration, its process, its end."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

from template import fill
from users import DOMAIN, EVERYDAY, Users

# Media ports of a server that scenarios share, and of one that serves one scenario.
MEDIA_PORTS, MEDIA_PORTS_OF_ONE = 200, 20
HERE = pathlib.Path(__file__).parent


class Server:
    """One process `imsbox run CONFIG` on loopback, IPv4 and IPv6, UDP and TCP on one port, with these kinds of users."""

    def __init__(self, binary, folder, ports, dialog_timeout, kinds=EVERYDAY, trunk=None, more="", media_ports=MEDIA_PORTS):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = ports.take()
        self.media_min = ports.take(media_ports)
        self.media_max = self.media_min + media_ports - 1
        self.trunk_port = ports.take() if trunk else None
        if trunk:
            ports.phones.add(self.trunk_port)
        self.log = self.folder / "ims.log"
        self.config = self.folder / "ims.cfg"
        self.config.write_text(fill((HERE / "ims.cfg.in").read_text(), {
            "log": self.log, "monitor": self.folder / "monitor", "state": self.folder / "ue_db.state", "port": self.port, "domain": DOMAIN,
            "media_min": self.media_min, "media_max": self.media_max, "dialog_timeout": dialog_timeout,
            "more": self._trunk(*trunk) if trunk else more,
            "users": ",\n    ".join(user.config() for user in Users.everybody(kinds)),
        }))
        self.binary = binary
        self.process = None

    def _trunk(self, transport, ip):
        """The property `trunk`; for a PBX on TCP every request is over the threshold."""
        address = f"[{ip}]:{self.trunk_port}" if ":" in ip else f"{ip}:{self.trunk_port}"
        threshold = ", tcp_threshold: 1" if transport == "tcp" else ""
        return f'trunk: {{ addr: "{address}", domain: "pbx.example.org"{threshold} }},'

    def start(self, deadline_secs=60):
        """Starts the process, and waits until it answers an OPTIONS request on both addresses."""
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen([self.binary, "run", self.config], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + deadline_secs
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            self._await_answer(family, address, deadline)

    def _await_answer(self, family, address, deadline):
        host = f"[{address}]" if ":" in address else address
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            probe.settimeout(0.3)
            own = f"{host}:{probe.getsockname()[1]}"
            for attempt in range(1000):
                options = "\r\n".join([
                    f"OPTIONS sip:{host}:{self.port} SIP/2.0", f"Via: SIP/2.0/UDP {own};branch=z9hG4bKprobe{attempt};rport",
                    f"From: <sip:probe@{own}>;tag=probe", f"To: <sip:{host}:{self.port}>", f"Call-ID: probe@{own}",
                    f"CSeq: {attempt + 1} OPTIONS", "Max-Forwards: 70", "Content-Length: 0", "", ""])
                try:
                    probe.sendto(options.encode(), (address, self.port))
                    probe.recv(65536)
                    return
                except OSError:  # nobody listens yet, or no answer in time
                    self.check_alive()
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"imsbox does not answer OPTIONS on {host}:{self.port}; {self.last_words()}") from None

    def check_alive(self):
        """Raises when the process has ended by itself."""
        if self.process.poll() is not None:
            raise RuntimeError(f"imsbox has ended with exit code {self.process.returncode}; {self.last_words()}")

    def last_words(self):
        lines = (self.folder / "output").read_text(errors="replace").splitlines()
        return "its output ends with:\n" + "\n".join(lines[-15:])

    def monitor(self, *command):
        """The answer to one monitor command, as the remote API gives it."""
        done = subprocess.run([self.binary, "monitor", "--socket", self.folder / "monitor", "--json", *command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"imsbox monitor {' '.join(command)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def wakeups(self):
        """How often the process's threads have gone to sleep so far."""
        count = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            fields = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
            count += int(fields["voluntary_ctxt_switches"])
        return count

    def stop(self):
        """Ends the process by SIGTERM; says what was wrong with that, if anything."""
        if self.process is None or self.process.poll() is not None:
            return "it had ended before"
        os.kill(self.process.pid, signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "it did not end within 60 s of SIGTERM"
        if code != 0:
            return f"exit code {code}"
        if "panicked" in (self.folder / "output").read_text(errors="replace"):
            return "it panicked"
        return None
