"""Scenarios with sipsak, one more client's idea of SIP and of digest. It knows IPv4 only, and looks its domains up; so the REGISTER
with ours comes from a file.
"""

import subprocess

from registry import IPV4, scenario
from users import DOMAIN

TIMEOUT_SECS = 20


def sipsak(case, *arguments):
    """Runs sipsak: its exit code (0: answered with 2xx), and what it printed."""
    command = ["sipsak", "-vvv", "-E", case.transport, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECS)
    (case.folder / "sipsak.output").write_text(done.stdout + done.stderr)
    return done.returncode, done.stdout + done.stderr


def register(case, user, password):
    """One REGISTER, and its answer to the challenge."""
    message = [
        f"REGISTER sip:{DOMAIN} SIP/2.0", f"To: <{user.impu}>", f"From: <{user.impu}>;tag=sipsak", f"Call-ID: {user.imsi}@sipsak",
        "CSeq: 1 REGISTER", f"Contact: <sip:{user.imsi}@{case.ip}:{case.ports.take()};transport={case.transport}>;expires=600",
        "Max-Forwards: 70", "Content-Length: 0", "", ""]
    file = case.folder / "register"
    file.write_bytes("\r\n".join(message).encode())
    to = f"sip:{user.imsi}@{case.ip}:{case.server.port}"
    return sipsak(case, "-f", file, "-s", to, "-u", user.impi, "-a", password)


def bindings_of(case, user):
    return next(found for found in case.server.monitor("users")["users"] if found["impi"] == user.impi)["bindings"]


@scenario(ips=IPV4)
def sipsak_pings(case):
    code, output = sipsak(case, "-s", f"sip:{case.ip}:{case.server.port}")
    assert code == 0 and "SIP/2.0 200 OK" in output, f"OPTIONS: exit code {code}, {output}"


@scenario(ips=IPV4)
def sipsak_registers(case):
    for kind in ("md5", "md5-qop"):
        user = case.users.take(kind)
        code, output = register(case, user, user.password)
        assert code == 0, f"exit code {code}, {output}"
        assert [binding["auth"] for binding in bindings_of(case, user)] == ["MD5"]


@scenario(server=None, ips=IPV4)
def sipsak_with_a_wrong_password(case):
    user = case.users.take()
    code, output = register(case, user, "wrong")
    assert code != 0, f"a wrong password registers: {output}"
    assert not bindings_of(case, user)
    why = next(found for found in case.server.monitor("users")["users"] if found["impi"] == user.impi)
    assert "wrong password" in str(why.get("last_error")), f"the monitor does not say why: {why}"
