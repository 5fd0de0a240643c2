"""pycrate as the judge of the RPDUs of a run: it reads every one that was sent, with the TPDU inside, and writes the same octets again."""

import os
import pathlib
import re
import subprocess
import sys

CONTENT_TYPE = b"application/vnd.3gpp.sms"
# Where scripts/setup puts it.
ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "pycrate/bin/python"


def sent(capture, servers):
    """The RPDUs in the capture's MESSAGEs, by phones and servers, each once for each time that it was sent."""
    sip = [word for server in servers for kind in ("udp", "tcp") for word in ("-d", f"{kind}.port=={server.port},sip")]
    fields = ["udp.payload", "tcp.stream", "tcp.srcport", "tcp.payload"]
    # No retransmissions: what TCP sends again would stand twice in its stream.
    chosen = ["-Y", "udp.payload or (tcp.len > 0 and not tcp.analysis.retransmission)"]
    done = subprocess.run(["tshark", "-n", "-r", capture.file, *sip, *chosen, "-T", "fields", "-E", "separator=|", "-E", "occurrence=f",
                           *[word for field in fields for word in ("-e", field)]],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"tshark: {done.stderr.strip()}")
    datagrams, streams = [], {}
    for line in done.stdout.splitlines():
        udp, stream, port, tcp = line.split("|")
        octets = bytes.fromhex((udp or tcp).replace(":", ""))
        if udp:
            datagrams.append(octets)
        else:
            streams.setdefault((stream, port), bytearray()).extend(octets)
    return [rpdu for octets in (*datagrams, *map(bytes, streams.values())) for rpdu in bodies(octets)]


def bodies(octets):
    """The bodies of the MESSAGEs with an RPDU in a datagram or a stream."""
    found = []
    for start in re.finditer(rb"MESSAGE [^\r\n]+ SIP/2\.0\r\n", octets):
        head, end, rest = octets[start.start():].partition(b"\r\n\r\n")
        kind = re.search(rb"\r\n(?:Content-Type|c) *: *([^\r\n;]+)", head, re.IGNORECASE)
        length = re.search(rb"\r\n(?:Content-Length|l) *: *(\d+)", head, re.IGNORECASE)
        if end and kind and length and kind[1].strip().lower() == CONTENT_TYPE:
            found.append(rest[:int(length[1])])
    return found


def judge(rpdus):
    """What pycrate says is wrong with them, as lines; None when it is not there."""
    if not PYTHON.exists():
        return None
    done = subprocess.run([PYTHON, __file__], input="\n".join(rpdu.hex() for rpdu in rpdus), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"pycrate: {done.stderr.strip()[-600:]}")
    return done.stdout.splitlines()


def faults_of(octets, messages):
    """Reads one RPDU with pycrate, and writes it again from the values that it has read."""
    kinds = {0: messages.RP_DATA_MO, 1: messages.RP_DATA_MT, 2: messages.RP_ACK_MO, 3: messages.RP_ACK_MT,
             4: messages.RP_ERROR_MO, 5: messages.RP_ERROR_MT, 6: messages.RP_SMMA}
    kind = kinds.get(octets[0] & 7) if octets else None
    if kind is None:
        return ["it is no RPDU"]
    try:
        read = kind()
        read.from_bytes(octets)
        again = read.to_bytes()
    except Exception as error:  # whatever it raises, it could not read it
        return [f"it cannot be read: {error!r}"]
    if again != octets:
        return [f"it is written as {again.hex()}"]
    # What pycrate cannot read as a TPDU it keeps as octets, with a warning, and writes as they were.
    kept = [part for part in read if part._name == "RPUserData" and part["L"]() > 0 and part[-1]._name == "V"]
    return [f"the TPDU in it cannot be read: {part[-1].get_val().hex()}" for part in kept]


def main():
    """Run by the Python that has pycrate: hexadecimal RPDUs come in, one a line; a line comes out for each fault."""
    from pycrate_mobile import TS24011_PPSMS
    for line in sys.stdin:
        octets = bytes.fromhex(line.strip())
        for fault in faults_of(octets, TS24011_PPSMS):
            print(f"{octets.hex()}: {fault}")


if __name__ == "__main__":
    main()
