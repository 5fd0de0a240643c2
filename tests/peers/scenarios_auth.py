"""Scenarios of authentication that goes wrong, or takes more than one challenge; and of many who register at a time."""

import base64
import hashlib
import random
import time

from aka import Sim, opc_of
from registry import IPV4, IPV6, scenario
from scenarios import alone, control_of, read_command
from users import DOMAIN, OP, K

KEY, OTHER_KEY = bytes.fromhex(K), bytes(range(16))
OP_CODE = bytes.fromhex(OP)
# A SIM that other networks have used for a while: far ahead of a server that begins at 0 (TS 33.102 C.3.2 allows any distance up).
SQN_OF_A_USED_SIM = 0x0000_0001_0000
# Seconds that the crowd may take to register: less than 20 users a second are too slow even for a debug build on a busy machine.
CROWD_SECS = 90
# Users of a crowd that register at the same time.
CROWD_AT_A_TIME = 200
# Phones with a wrong password, with two wrong answers each, that use up what a host may answer wrong (30).
GUESSERS = 15


def digest(user, nonce, password, more=""):
    """The Authorization of a REGISTER without qop (RFC 2617 3.2.2), with AKA's password (RFC 3310 3.3)."""
    md5 = lambda octets: hashlib.md5(octets).hexdigest()
    uri = f"sip:{DOMAIN}"
    secret = md5(f"{user.impi}:{DOMAIN}:".encode() + password)
    response = md5(f"{secret}:{nonce}:{md5(f'REGISTER:{uri}'.encode())}".encode())
    return (f'Digest username="{user.impi}",realm="{DOMAIN}",uri="{uri}",nonce="{nonce}",algorithm=AKAv1-MD5,'
            f'response="{response}"{more}')


def authorization(user, nonce, sim):
    """What a phone with this SIM answers to a challenge."""
    res, auts = sim.answer(nonce)
    if auts:
        # RFC 3310 3.4: the password is empty.
        return digest(user, nonce, b"", f',auts="{base64.b64encode(auts).decode()}"')
    if res is None:
        # TS 24.229 5.1.1.5.3: neither a response nor auts.
        return f'Digest username="{user.impi}",realm="{DOMAIN}",uri="sip:{DOMAIN}",nonce="{nonce}",algorithm=AKAv1-MD5,response=""'
    return digest(user, nonce, res)


def register(case, sim, challenges, outcome, kind="aka", user=None):
    """A phone with the SIM registers, is challenged so often (`once`, `twice`), and gets the final response `outcome`."""
    phone = case.phone(f"phone-{challenges}", kind, user=user)
    phone.values["outcome"] = outcome
    listener, control = control_of(phone)
    with listener:
        phone.start(f"sim_answers_{challenges}", control=control)
        connection = listener.accept()[0]
        connection.settimeout(60)
        for _ in range({"once": 1, "twice": 2}[challenges]):
            fields = dict(line.split(": ", 1) for line in read_command(connection).splitlines() if ": " in line)
            nonce = fields["Challenge"].removeprefix('nonce="').removesuffix('"')
            answer = authorization(phone.user, nonce, sim)
            connection.sendall(f"Call-ID: {fields['Call-ID']}\r\nAuthorization: {answer}\r\n\r\n\x1b".encode())
        phone.wait()
    return phone


def refused(case, sim, *words, kind="aka"):
    """A phone with the SIM is refused after one more challenge, and the log says why."""
    phone = register(case, sim, "twice", 403, kind)
    for word in words:
        case.log_says(phone.user, word)


@scenario
def sim_that_is_ahead_resynchronises(case):
    """SQN too old for the SIM: AUTS, the next challenge is above the SIM's number, and so are those that follow."""
    sim = Sim(KEY, opc_of(KEY, OP_CODE), SQN_OF_A_USED_SIM)
    phone = register(case, sim, "twice", 200)
    case.log_says(phone.user, "re-synchronised")
    assert sim.sqn > SQN_OF_A_USED_SIM
    register(case, sim, "once", 200, user=phone.user)


@scenario(server=None)
def sim_with_another_key_rejects_us(case):
    refused(case, Sim(OTHER_KEY, opc_of(OTHER_KEY, OP_CODE)), "mac failure", "k or op")


@scenario(server=None)
def careless_sim_with_another_key(case):
    """It answers although AUTN is wrong: RES is."""
    refused(case, Sim(OTHER_KEY, opc_of(OTHER_KEY, OP_CODE), is_careless=True), "res does not match", "k or op")


@scenario(server=None)
def opc_configured_as_op(case):
    refused(case, Sim(KEY, OP_CODE, is_careless=True), "res does not match", "configure it as opc")


@scenario(server=None)
def op_configured_as_opc(case):
    refused(case, Sim(KEY, opc_of(KEY, OP_CODE), is_careless=True), "res does not match", "configure it as op", kind="opc")


@scenario
def nonce_never_issued(case):
    junk = base64.b64encode(random.Random(case.name).randbytes(32)).decode().replace("+", "/")
    for kind, nonce, more in (("md5", junk, ""), ("aka", junk, ",algorithm=AKAv1-MD5"),
                              ("md5-qop", "0123456789abcdef0123456789abcdef", ",qop=auth,nc=00000001,cnonce=&quot;junk&quot;")):
        phone = case.phone(f"phone-{kind}", kind)
        phone.values.update(junk_nonce=nonce, junk_more=more.replace("&quot;", '"'))
        phone.start("nonce_never_issued")
        phone.wait()


@scenario
def nonce_replayed(case):
    # Only a password's digest can be called stale: the client still has what the next answer is made of. A vector of AKA serves
    # once, with a nonce count too.
    for kind, stale in (("md5", "stale=true"), ("aka", "AKAv1-MD5"), ("aka-qop", "AKAv1-MD5")):
        phone = case.phone(f"phone-{kind}", kind)
        phone.values["stale"] = stale
        phone.start("nonce_replayed")
        phone.wait()


@scenario
def nonce_with_count_serves_again(case):
    phone = case.phone("phone", "md5-qop")
    phone.start("nonce_counts_on")
    phone.wait()


@scenario(server=None, ips=IPV4)
def host_that_guesses_is_turned_away(case):
    """After too many wrong answers of a host nobody may authenticate from there, right password or not; others may."""
    phone = case.phone("guesser", wrong=True)
    phone.stands_for([case.users.take() for _ in range(GUESSERS)], at_a_time=1)
    phone.start("wrong_password")
    phone.wait()
    alone(case, "register_turned_away")
    case.log_has(f"{case.ip} has given", "wrong answers", "503")
    alone(case, "register", ip="127.0.0.2")


@scenario(server=None, ips=IPV4, kinds=("crowd",))
def crowd_registers(case):
    """Two thousand users with SIMs at eight hosts. (SIPp answers some wrong, too many for one host: see aka.py.)"""
    register_crowd(case, "crowd", [f"127.0.0.{host}" for host in range(2, 10)], "AKAv1-MD5")


@scenario(server=None, ips=IPV6, kinds=("crowd-md5",))
def crowd_registers_with_passwords(case):
    """Two thousand users at one host."""
    register_crowd(case, "crowd-md5", [case.ip], "MD5")


def register_crowd(case, kind, hosts, algorithm):
    """All users of the kind register, each with a challenge of its own; all are bound."""
    crowd = case.users.all_of(kind)
    began = time.monotonic()
    for number, ip in enumerate(hosts):
        phone = case.phone(f"crowd-{number}", user=crowd[0], ip=ip)
        phone.stands_for(crowd[number::len(hosts)], at_a_time=CROWD_AT_A_TIME // len(hosts))
        phone.start("register_crowd")
    for phone in case.phones:
        phone.wait()
    took = time.monotonic() - began
    assert took < CROWD_SECS, f"registering took {took:.1f} s, more than {CROWD_SECS}"
    bound = {user["impi"] for user in case.server.monitor("users")["users"]
             if [binding["auth"] for binding in user["bindings"]] == [algorithm]}
    missing = {user.impi for user in crowd} - bound
    assert not missing, f"{len(missing)} of {len(crowd)} users are not bound with {algorithm}, such as {min(missing)}"
