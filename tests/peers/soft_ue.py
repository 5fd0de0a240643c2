"""A phone with a SIM: `imsbox-ue`, which registers with AKA, told what to do by a script that fails where it is not as expected."""

import subprocess
import wave

from baresip import RATE, check_heard, noise
from users import DOMAIN, K, OP

TIMEOUT_SECS = 100


class SoftUe:
    """One subscriber's soft UE at its own port. Its microphone is a file of noise that no other phone has."""

    def __init__(self, case, user, name, ip=None):
        self.case, self.user, self.name, self.ip = case, user, name, ip or case.ip
        self.folder = case.folder / name
        self.folder.mkdir()
        self.port = case.ports.take()
        case.ports.phones.add(self.port)
        self.microphone = noise(user.imsi)
        with wave.open(str(self.folder / "microphone.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(self.microphone)
        self.process = None

    def start(self, script):
        """Starts it with commands, one after the other."""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        options = {
            "imsi": self.user.imsi, "impi": self.user.impi, "impu": self.user.impu, "domain": DOMAIN, "k": K, "op": OP,
            "algo": "milenage", "state": "none", "ipsec": "off", "codecs": "PCMU", "transport": self.case.transport,
            "wav": self.folder / "microphone.wav", "record": self.folder / "heard.wav", "pcscf": f"{host}:{self.case.server.port}", "local": f"{host}:{self.port}",
        }
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        program = self.case.server.binary.with_name("imsbox-ue")
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen([program, *words, "; ".join(script)], stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, cwd=self.folder)

    def check_running(self):
        assert self.process.poll() is None, f"{self.name} has ended: {self.last_words()}"

    def wait(self):
        """Waits for the end of the script; raises when something in it was not as expected."""
        code = self.process.wait(timeout=TIMEOUT_SECS)
        assert code == 0, f"{self.name} ended with exit code {code}: {self.last_words()}"

    def check_heard(self, speaker, at_least):
        """What it has heard in its last call is what the speaker has said."""
        check_heard(self.name, self.folder / "heard.wav", speaker, at_least)

    def last_words(self):
        return "its output ends with:\n" + (self.folder / "output").read_text(errors="replace")[-1500:]

    def stop(self):
        """Ends the process if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
