"""Milenage's RES (3GPP TS 35.206, f2), to tell when SIPp could not have authenticated.

SIPp 3.6 hands RES to its digest as a C string, which ends at the first zero octet: about one challenge in 32 is answered
wrong through no fault of the server. The runner repeats a failed scenario when, and only when, a challenge was of that kind.
"""

import base64
import re

from users import K, OP

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


def res(rand):
    """RES for a RAND, with the key of the test subscribers."""
    key, op = bytes.fromhex(K), bytes.fromhex(OP)
    opc = xor(aes128(key, op), op)
    temp = aes128(key, xor(rand, opc))
    return xor(aes128(key, xor(xor(temp, opc), bytes(15) + b"\x01")), opc)[8:]


# TS 35.208 4.3.3 (test set 3).
assert res(bytes.fromhex("9f7c8d021accf4db213ccff0c7f71a6a")) == bytes.fromhex("8011c48c0c214ed2")


def beyond_sipp(messages):
    """Whether one of the challenges in a message log has a RES with a zero octet."""
    nonces = [first or second for first, second in CHALLENGE.findall(messages)]
    return any(0 in res(base64.b64decode(nonce)[:16]) for nonce in nonces)
