"""Ports for one run, out of one block that was free when the run began, below the range that the kernel gives to clients."""

import random
import socket
import threading

BLOCK = 16000
LOWEST, HIGHEST = 10000, 32000


def is_free(port):
    """Whether UDP and TCP can be bound to the port, on IPv4 and IPv6 at once."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET6, kind) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try:
                probe.bind(("::", port))
            except OSError:
                return False
    return True


class Ports:
    """Hands out each port once. `first` and `last` are the block's bounds, `phones` the ports that phones take SIP on."""

    def __init__(self):
        self.first = random.randrange(LOWEST, HIGHEST - BLOCK, 100)
        self.last = self.first + BLOCK - 1
        self.phones = set()
        self._next = self.first
        self._lock = threading.Lock()

    def take(self, count=1):
        """The first of `count` free ports in a row; even, as RTP wants it (RFC 3550 11)."""
        with self._lock:
            while self._next + count <= self.last:
                start = self._next + self._next % 2
                self._next = start + count
                if all(is_free(port) for port in range(start, start + count)):
                    return start
        raise RuntimeError(f"no {count} free ports left in {self.first}-{self.last}")
