"""Test subscribers: who they are for the server's configuration and for a phone. No two scenarios share one."""

import dataclasses
import threading

DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
# 3GPP TS 35.208 4.3, test set 3. (SIPp breaks on sets whose key has an octet 0x5b.)
K = "fec86ba6eb707ed08905757b1bb44b8f"
OP = "dbc59adcb6f9a0ef735477b7fadf8374"
AMF = "725c"
# Keys of the crowd, 16 letters each, and two of AMF: SIPp 3.6 takes no others for users that come from a file.
CROWD_K, CROWD_OP, CROWD_AMF = "imsbox-crowd-key", "imsbox-crowd-op!", "00"
# Kinds of subscriber, and how many of each there are. `opc` has its OP configured as OPc; Those of a crowd
# register all at a time. `unreliable` may not have reliable responses, `waiting` has preconditions, `hidden` is anonymous, `dressed`
# has all that can be seen of an identity, `quiet` takes no early media, `ringing` is never answered, `voice` takes no other media. There is one
# `centre` that answers calls to the police.
KINDS = {"md5": 800, "aka": 200, "challenged": 40, "md5-qop": 40, "aka-qop": 100, "opc": 20, "crowd": 2000, "crowd-md5": 2000,
         "unreliable": 20, "waiting": 20, "hidden": 20, "dressed": 20, "quiet": 20, "ringing": 20, "voice": 20, "centre": 1}
# What the identities of some kinds have beside, in the configuration's language; for the telephone number alone, in `OF_NUMBER`.
OF_IDENTITY = {
    "unreliable": '"100rel": false', "waiting": 'precondition: "on"', "hidden": "anonymous: true", "quiet": "use183: false, early_media: false",
    "dressed": 'display_name: "Dr. Bo", p_called_party_id: "sip:desk@example.org"', "ringing": "ring_only: true",
    "voice": "video: false, text: false",
}
OF_NUMBER = {"dressed": 'verstat: "TN-Validation-Passed", preferred: true'}
# Those that a server's configuration has unless a scenario wants others.
EVERYDAY = tuple(kind for kind in KINDS if not kind.startswith(("crowd", "centre")))


@dataclasses.dataclass(frozen=True)
class User:
    """One subscriber, with a SIP identity (the IMSI) and a telephone number."""

    kind: str
    number: int

    @property
    def imsi(self):
        return f"00101{list(KINDS).index(self.kind):02}{self.number:08}"

    @property
    def msisdn(self):
        return f"4477{list(KINDS).index(self.kind):02}{self.number:06}"

    @property
    def impi(self):
        return f"{self.imsi}@{DOMAIN}"

    @property
    def impu(self):
        return f"sip:{self.imsi}@{DOMAIN}"

    @property
    def password(self):
        return f"secret{self.number}"

    @property
    def is_aka(self):
        return self.kind in ("aka", "aka-qop", "opc", "crowd")

    def config(self):
        """The subscriber's entry in `ue_db`."""
        common = f'imsi: "{self.imsi}", impi: "{self.impi}", impu: ["sip:{self.imsi}", "tel:+{self.msisdn}"]'
        if own := OF_IDENTITY.get(self.kind):
            of_number = ", ".join(filter(None, (own, OF_NUMBER.get(self.kind))))
            identities = f'{{ impu: "sip:{self.imsi}", {own} }}, {{ impu: "tel:+{self.msisdn}", {of_number} }}'
            common = f'imsi: "{self.imsi}", impi: "{self.impi}", impu: [{identities}]'
        if self.kind == "centre":
            police = '{ impu: "urn:service:sos.police", authentication: false, anonymous: true }'
            common = f'imsi: "{self.imsi}", impi: "{self.impi}", impu: ["sip:{self.imsi}", "tel:+{self.msisdn}", {police}]'
        if self.kind.endswith("-qop"):
            common += ', authent_qop: "auth"'
        if self.is_aka:
            if self.kind == "crowd":
                key, op, amf = (text.encode().hex() for text in (CROWD_K, CROWD_OP, CROWD_AMF))
            else:
                key, op, amf = K, OP, AMF
            name = "opc" if self.kind == "opc" else "op"
            keys = f'sim_algo: "milenage", K: "{key}", {name}: "{op}", amf: 0x{amf}, sqn: "000000000000"'
            return f"{{ {common}, {keys} }}"
        every = ", auth_on_register_only: false" if self.kind == "challenged" else ""
        return f'{{ {common}, pwd: "{self.password}"{every} }}'

    def credentials(self, wrong=False):
        """What SIPp's keyword `authentication` wants to know."""
        if self.kind == "crowd":
            return f"username={self.impi} aka_K={CROWD_K} aka_OP={CROWD_OP} aka_AMF={CROWD_AMF}"
        if self.is_aka:
            return f"username={self.impi} aka_K=0x{K} aka_OP=0x{OP} aka_AMF=0x{AMF}"
        return f"username={self.impi} password={'wrong' if wrong else self.password}"


class Users:
    """Hands out each subscriber once."""

    def __init__(self):
        self._left = {kind: iter(self.all_of(kind)) for kind in KINDS}
        self._lock = threading.Lock()

    @staticmethod
    def all_of(kind):
        return [User(kind, number) for number in range(1, KINDS[kind] + 1)]

    @staticmethod
    def everybody(kinds=EVERYDAY):
        return [user for kind in kinds for user in Users.all_of(kind)]

    def take(self, kind="md5"):
        with self._lock:
            return next(self._left[kind])
