"""Milenage (3GPP TS 35.206) as a SIM has it: a SIM of our own that counts, refuses, or is careless; and its RES, to tell when SIPp
could not have authenticated.

SIPp verifies AUTN and answers with RES, but looks at no sequence number, and so never asks for another. SIPp 3.6 hands RES to
its digest as a C string, which ends at the first zero octet: about one challenge in 32 is answered wrong through no fault of the
server. The runner repeats a failed scenario when, and only when, a challenge was of that kind.
"""

import base64
import re

from users import AMF, K, OP

CHALLENGE = re.compile(r'nonce="([A-Za-z0-9+/=]{44})",?.*AKAv1|AKAv1.*nonce="([A-Za-z0-9+/=]{44})"')


def _gf_double(x):
    return (x << 1 ^ (0x1B if x & 0x80 else 0)) & 0xFF


def _make_sbox():
    """FIPS 197 5.1.1: the inverse in GF(2^8), then an affine map; by walking the powers of 3 and of its inverse."""
    box, p, q = [0] * 256, 1, 1
    while True:
        p ^= _gf_double(p)
        q ^= q << 1
        q ^= q << 2
        q = (q ^ q << 4) & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        rotated = [(q << n | q >> (8 - n)) & 0xFF for n in range(5)]
        box[p] = rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    return box


SBOX = _make_sbox()


def aes128(key, block):
    """One block of AES-128 (FIPS 197), encrypted."""
    words = [list(key[i:i + 4]) for i in range(0, 16, 4)]
    constant = 1
    for i in range(4, 44):
        word = words[i - 1]
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = _gf_double(constant)
        words.append([a ^ b for a, b in zip(words[i - 4], word)])
    keys = [sum(words[i:i + 4], []) for i in range(0, 44, 4)]
    state = [a ^ b for a, b in zip(block, keys[0])]
    for turn in range(1, 11):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if turn < 10:
            mixed = []
            for i in range(0, 16, 4):
                column = state[i:i + 4]
                every = column[0] ^ column[1] ^ column[2] ^ column[3]
                mixed += [column[j] ^ every ^ _gf_double(column[j] ^ column[(j + 1) % 4]) for j in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[turn])]
    return bytes(state)


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def opc_of(key, op):
    """OPc of an OP (TS 35.206 4.1)."""
    return xor(aes128(key, op), op)


def rotate(block, octets):
    return block[octets:] + block[:octets]


class Milenage:
    """The functions of TS 35.206 4.1, with the standard's constants; f1 and f1* give 8 octets, f2 8, f5 and f5* 6."""

    def __init__(self, key, opc):
        self.key, self.opc = key, opc

    def _temp(self, rand):
        return aes128(self.key, xor(rand, self.opc))

    def _out(self, rand, rotation, constant):
        return xor(aes128(self.key, xor(rotate(xor(self._temp(rand), self.opc), rotation), bytes(15) + bytes([constant]))), self.opc)

    def _out1(self, rand, sqn, amf):
        block = rotate(xor((sqn + amf) * 2, self.opc), 8)
        return xor(aes128(self.key, xor(self._temp(rand), block)), self.opc)

    def f1(self, rand, sqn, amf):
        return self._out1(rand, sqn, amf)[:8]

    def f1_star(self, rand, sqn, amf):
        return self._out1(rand, sqn, amf)[8:]

    def f2(self, rand):
        return self._out(rand, 0, 1)[8:]

    def f5(self, rand):
        return self._out(rand, 0, 1)[:6]

    def f5_star(self, rand):
        return self._out(rand, 12, 8)[:6]


class Sim:
    """A SIM: the highest SQN that it has taken is `sqn`; a careless one answers without looking at AUTN."""

    def __init__(self, key, opc, sqn=0, is_careless=False):
        self.milenage, self.sqn, self.is_careless = Milenage(key, opc), sqn, is_careless

    def answer(self, nonce):
        """What it makes of a challenge (RFC 3310 3.2, TS 33.102 6.3.3): RES and AUTS, of which it gives one or none."""
        challenge = base64.b64decode(nonce)
        rand, autn = challenge[:16], challenge[16:32]
        sqn, amf, mac = xor(autn[:6], self.milenage.f5(rand)), autn[6:8], autn[8:]
        if self.is_careless:
            return self.milenage.f2(rand), None
        if mac != self.milenage.f1(rand, sqn, amf):
            return None, None
        if int.from_bytes(sqn, "big") <= self.sqn:
            return None, self.auts(rand)
        self.sqn = int.from_bytes(sqn, "big")
        return self.milenage.f2(rand), None

    def auts(self, rand):
        sqn = self.sqn.to_bytes(6, "big")
        return xor(sqn, self.milenage.f5_star(rand)) + self.milenage.f1_star(rand, sqn, bytes(2))


def res(rand):
    """RES for a RAND, with the key of the test subscribers."""
    key = bytes.fromhex(K)
    return Milenage(key, opc_of(key, bytes.fromhex(OP))).f2(rand)


def check():
    """TS 35.207 4.3 and 35.208 4.3.3 (test set 3)."""
    key, rand = bytes.fromhex(K), bytes.fromhex("9f7c8d021accf4db213ccff0c7f71a6a")
    milenage = Milenage(key, opc_of(key, bytes.fromhex(OP)))
    sqn, amf = bytes.fromhex("9d0277595ffc"), bytes.fromhex(AMF)
    assert milenage.opc.hex() == "1006020f0a478bf6b699f15c062e42b3"
    assert milenage.f1(rand, sqn, amf).hex() == "9cabc3e99baf7281"
    assert milenage.f1_star(rand, sqn, amf).hex() == "95814ba2b3044324"
    assert milenage.f2(rand).hex() == "8011c48c0c214ed2"
    assert milenage.f5(rand).hex() == "33484dc2136b"
    assert milenage.f5_star(rand).hex() == "deacdd848cc6"


check()


def beyond_sipp(messages):
    """Whether one of the challenges in a message log has a RES with a zero octet."""
    nonces = [first or second for first, second in CHALLENGE.findall(messages)]
    return any(0 in res(base64.b64decode(nonce)[:16]) for nonce in nonces)
