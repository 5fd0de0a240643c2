"""Media of a phone that calls the echo number: RTP and RTCP packets, every one of which must come back."""

import concurrent.futures
import socket
import struct
import time

# One packet's worth of media: 20 ms of G.711, an H.264 unit of filler data (7.3.2.7) as long as video packets are, and what somebody types.
AUDIO = bytes(range(160))
VIDEO = b"\x0c" + b"\xff" * 1100 + b"\x80"
TEXT = "Grüße".encode()
# RTP packets sent, and RTCP packets: one with every twentieth.
PACKETS = 100
RTCP_PACKETS = PACKETS // 20
PACE_SECS = 0.002
# Packets that are under way at a time: far fewer than a socket's buffer holds, however busy the machine is.
WINDOW = 20
DEADLINE_SECS = 60


class Stream:
    """RTP on an even port and RTCP on the next."""

    def __init__(self, ip, port, payload_type, payload):
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.payload_type, self.payload, self.ssrc = payload_type, payload, 0x1000_0000 + port
        self.rtp, self.rtcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        self.rtp.bind((ip, port))
        self.rtcp.bind((ip, port + 1))

    def close(self):
        self.rtp.close()
        self.rtcp.close()

    def rtp_packet(self, sequence):
        header = struct.pack("!BBHII", 0x80, self.payload_type, sequence, 160 * sequence, self.ssrc)
        return header + self.payload

    def rtcp_packet(self, sequence):
        """A compound packet as RFC 3550 6.1 wants it: sender report, then a description with the CNAME."""
        report = struct.pack("!BBHIIIIII", 0x80, 200, 6, self.ssrc, 0xE000_0000, sequence, 160 * sequence, sequence, sequence * len(self.payload))
        cname = struct.pack("!IBB", self.ssrc, 1, 5) + b"phone" + b"\0"
        return report + struct.pack("!BBH", 0x81, 202, len(cname) // 4) + cname

    def exchange(self, server, other=None, far_server=None):
        """Sends RTP and RTCP to the server's address and port; raises unless all of it comes back, unchanged and in order: to the
        `other` stream, if there is one, from `far_server`, which is where that one would send to.
        """
        ip, port = server
        receiver, source = other or self, far_server or server
        sent_rtp = [self.rtp_packet(n) for n in range(1, PACKETS + 1)]
        sent_rtcp = [self.rtcp_packet(n) for n in range(1, RTCP_PACKETS + 1)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            # Read while sending: a socket's buffer holds few packets.
            came = []
            rtp = pool.submit(receive, receiver.rtp, len(sent_rtp), came)
            rtcp = pool.submit(receive, receiver.rtcp, len(sent_rtcp), [])
            deadline = time.monotonic() + DEADLINE_SECS
            for n, packet in enumerate(sent_rtp):
                while n - len(came) >= WINDOW and time.monotonic() < deadline:
                    time.sleep(PACE_SECS)
                self.rtp.sendto(packet, (ip, port))
                if n % 20 == 0:
                    self.rtcp.sendto(sent_rtcp[n // 20], (ip, port + 1))
                time.sleep(PACE_SECS)
            check(rtp.result(), sent_rtp, source, "RTP")
            check(rtcp.result(), sent_rtcp, (source[0], source[1] + 1), "RTCP")


def receive(sock, count, received):
    """So many packets with their source addresses, in the list as they come; fewer when they do not come in time."""
    deadline = time.monotonic() + DEADLINE_SECS
    while len(received) < count and time.monotonic() < deadline:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            received.append(sock.recvfrom(65536))
        except TimeoutError:
            break
    return received


def check(received, sent, source, what):
    """What came back must be what was sent, all of it, from where it was sent to."""
    assert len(received) == len(sent), f"{what}: {len(sent)} packets sent, {len(received)} came from {source}"
    strange = [address for _, address in received if address[:2] != source]
    assert not strange, f"{what} came from {strange[0]}, not from {source}"
    assert [packet for packet, _ in received] == sent, f"{what}: packets came back changed or out of order"
