#!/usr/bin/env python3
"""What the guest kernel must be able to do for the other guest tests to mean anything: SCTP and IPsec ESP.

Runs inside scripts/guest/run, as root. Ends with "N passed, N failed".
"""

import contextlib
import os
import socket
import subprocess
import sys
import traceback

IPPROTO_SCTP = 132
UDP = "17"  # by number: a bare machine has no /etc/protocols
SPI_THERE, SPI_BACK = 0x1001, 0x1002
KEY_SHA1 = "0x" + "00112233445566778899aabbccddeeff01234567"
KEY_AES = "0x" + "00112233445566778899aabbccddeeff"
LOOPBACKS = [(socket.AF_INET, "127.0.0.1", 32), (socket.AF_INET6, "::1", 128)]


def ip(*words):
    """Runs `ip` of iproute2; its refusal is the test's failure, with its words."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr.strip()}"
    return done.stdout


def test_the_test_runs_under_the_guest_kernel_and_not_on_the_host():
    assert os.path.isdir("/guest"), "this is not the guest: run it by scripts/guest/run"


def test_sctp_carries_messages_both_ways():
    for family, address, _ in LOOPBACKS:
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, IPPROTO_SCTP))
            listener.bind((address, 0))
            listener.listen(1)
            client = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, IPPROTO_SCTP))
            client.settimeout(20)
            client.connect(listener.getsockname())
            server = stack.enter_context(listener.accept()[0])
            server.settimeout(20)
            client.send(b"capabilities exchange")
            assert server.recv(2000) == b"capabilities exchange"
            server.send(b"answer")
            assert client.recv(2000) == b"answer"


def add_esp(address, bits, spi, source_port, destination_port):
    """One transport-mode SA with HMAC-SHA-1-96 and AES-CBC, and the policy that demands it, for one direction of UDP."""
    net = f"{address}/{bits}"
    ip("xfrm", "state", "add", "src", address, "dst", address, "proto", "esp", "spi", str(spi), "reqid", str(spi),
       "mode", "transport", "auth-trunc", "hmac(sha1)", KEY_SHA1, "96", "enc", "cbc(aes)", KEY_AES)
    for direction in ("out", "in"):
        ip("xfrm", "policy", "add", "src", net, "dst", net, "proto", UDP, "sport", str(source_port),
           "dport", str(destination_port), "dir", direction,
           "tmpl", "src", address, "dst", address, "proto", "esp", "reqid", str(spi), "mode", "transport")


def packets_of(spi):
    """How many packets went through the SA, by the kernel's own count."""
    lines = ip("-s", "xfrm", "state", "get", "dst", DESTINATION, "proto", "esp", "spi", str(spi)).splitlines()
    at = next(i for i, line in enumerate(lines) if "lifetime current" in line)
    return int(lines[at + 1].split(",")[1].split("(")[0])


def test_udp_goes_through_an_esp_security_association():
    global DESTINATION
    for family, address, bits in LOOPBACKS:
        DESTINATION = address
        ip("xfrm", "state", "flush")
        ip("xfrm", "policy", "flush")
        with socket.socket(family, socket.SOCK_DGRAM) as phone, socket.socket(family, socket.SOCK_DGRAM) as core:
            phone.bind((address, 0))
            core.bind((address, 0))
            phone.settimeout(20)
            core.settimeout(20)
            phone_port, core_port = phone.getsockname()[1], core.getsockname()[1]
            add_esp(address, bits, SPI_THERE, phone_port, core_port)
            add_esp(address, bits, SPI_BACK, core_port, phone_port)
            phone.sendto(b"REGISTER", (address, core_port))
            assert core.recv(2000) == b"REGISTER"
            core.sendto(b"200", (address, phone_port))
            assert phone.recv(2000) == b"200"
        # On loopback the SA that sends is the one that receives: each packet counts twice.
        assert packets_of(SPI_THERE) == 2, "the datagram did not go through the SA"
        assert packets_of(SPI_BACK) == 2, "the answer did not go through the SA"


def test_plain_udp_is_dropped_where_a_policy_demands_esp():
    ip("xfrm", "state", "flush")
    ip("xfrm", "policy", "flush")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as core:
        core.bind(("127.0.0.1", 0))
        core.settimeout(1)
        ip("xfrm", "policy", "add", "src", "127.0.0.1/32", "dst", "127.0.0.1/32", "proto", UDP,
           "dport", str(core.getsockname()[1]), "dir", "in",
           "tmpl", "src", "127.0.0.1", "dst", "127.0.0.1", "proto", "esp", "reqid", "9", "mode", "transport")
        phone.sendto(b"in the clear", core.getsockname())
        try:
            got = core.recv(2000)
        except TimeoutError:
            got = None
        assert got is None, f"arrived in the clear: {got}"


def main():
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
        except Exception:
            failed += 1
            print(f"FAILED: {name}")
            traceback.print_exc(file=sys.stdout)
        else:
            passed += 1
            print(f"ok: {name}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
