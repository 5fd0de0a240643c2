"""Scenarios with SIPp as the phones: who calls and who was called, as the other phone is told; and headers that pass, change or go."""

from checks import checks, exactly, line
from registry import scenario
from scenarios import call
from users import DOMAIN

FOREIGN = "<sip:somebody.else@example.org>"


def told(case, says, sees=None, hides=(), answers=None, hears=None, hears_not=(), caller="md5", callee="md5", target=None, preferred=None, **values):
    """A calls B: `says` are header lines of the INVITE, `answers` of the 180 and the 200. B's INVITE has what matches each of
    `sees(a, b)` and nothing of `hides`, A's 180 and 200 what matches each of `hears(a, b)` and nothing of `hears_not`; A and B are
    the users.
    """

    def prepare(phone):
        a, b = phone.user, phone.peer.user
        if phone.name == "callee":
            a, b = b, a
        lacks, misses = ([text(a, b) if callable(text) else text for text in texts] for texts in (hides, hears_not))
        hearing = checks(hears(a, b) if hears else (), misses)
        phone.values.update(invite_checks=checks(sees(a, b) if sees else (), lacks), ringing_checks=hearing, answer_checks=hearing)
        phone.values.update(invite_headers=says or "%{nothing}", ringing_headers=answers or "%{nothing}", answer_headers=answers or "%{nothing}")
        if preferred is not None:
            phone.values["preferred"] = preferred(a, b)
        phone.values.update(values)

    call(case, "caller_says", "callee_says", kind=caller, callee={"kind": callee}, target=target, prepare=prepare)


def by_number(user):
    """A user's telephone number, as it is dialled."""
    return f"tel:+{user.msisdn}"


def asserted_name(user):
    return line("P-Asserted-Identity", exactly(f"<{user.impu}>"))


def asserted_number(user):
    return line("P-Asserted-Identity", exactly(f"<tel:+{user.msisdn}>"))


def number_as_sip(user):
    return line("P-Asserted-Identity", exactly(f"<sip:+{user.msisdn}@{DOMAIN};user=phone>"))


def of_caller(pattern):
    """Makes a pattern for the caller alone one for both."""
    return lambda a, b: pattern(a)


@scenario
def caller_and_callee_are_asserted_in_both_forms(case):
    """As a name and as a number, on the INVITE and on its answers; B was called by its number, and that is what answers."""
    told(case, None, sees=lambda a, b: [asserted_name(a), asserted_number(a)], hears=lambda a, b: [number_as_sip(b), asserted_number(b)],
         target=by_number)


@scenario
def a_number_that_the_caller_prefers_is_asserted(case):
    told(case, None, sees=lambda a, b: [number_as_sip(a), asserted_number(a)], hides=[of_caller(asserted_name), "P-Preferred-Identity"],
         preferred=lambda a, b: f"P-Preferred-Identity: <tel:+{a.msisdn}>")


@scenario
def an_identity_that_is_somebody_elses_is_not_asserted(case):
    """Neither what the phone prefers nor what it asserts is taken unless it is its own: the user's own is said instead."""
    claims = f"P-Asserted-Identity: {FOREIGN}"
    told(case, claims, sees=lambda a, b: [asserted_name(a), asserted_number(a)], hears=lambda a, b: [asserted_name(b), asserted_number(b)],
         hides=["somebody.else"], hears_not=["somebody.else"], answers=f"{claims}\nP-Preferred-Identity: {FOREIGN}", preferred=lambda a, b: f"P-Preferred-Identity: {FOREIGN}")


@scenario
def privacy_id_hides_the_asserted_identity(case):
    """Of the caller by its INVITE, of the callee by its answers; From is the phone's own matter."""
    told(case, "Privacy: id", sees=lambda a, b: [line("Privacy", "id"), line("From", f".*{exactly(a.impu)}.*")], answers="Privacy: id",
         hides=["P-Asserted-Identity", "P-Preferred-Identity"], hears_not=["P-Asserted-Identity"])


@scenario
def privacy_user_hides_from_too(case):
    told(case, "Privacy: user;id", sees=lambda a, b: [line("From", '"Anonymous" <sip:anonymous@anonymous[.]invalid>;tag=.*')],
         hides=["P-Asserted-Identity", lambda a, b: a.imsi, lambda a, b: a.msisdn])


@scenario
def a_caller_with_an_anonymous_identity_is_told_nowhere(case):
    told(case, "Call-Info: <http://example.org/me>", caller="hidden", callee="md5",
         sees=lambda a, b: [line("From", '"Anonymous" <sip:anonymous@anonymous[.]invalid>;tag=.*')],
         hides=["P-Asserted-Identity: .*<", "Call-Info: <http", lambda a, b: f"(sip|tel):[+]?({a.imsi}|{a.msisdn})"])


@scenario
def an_identity_is_shown_with_all_that_it_wears(case):
    """B's INVITE is for the identity that it prefers, and says under which B is to know itself; A hears B's name."""
    told(case, None, callee="dressed",
         sees=lambda a, b: [f"^INVITE tel:[+]{b.msisdn} SIP/2[.]0", line("P-Called-Party-ID", "<sip:desk@example[.]org>")],
         hears=lambda a, b: [line("P-Asserted-Identity", exactly(f'"Dr. Bo" <tel:+{b.msisdn};verstat=TN-Validation-Passed>'))], target=by_number)


@scenario
def a_caller_is_shown_with_its_name_and_how_far_its_number_is_trusted(case):
    told(case, None, caller="dressed", callee="md5", preferred=lambda a, b: f"P-Preferred-Identity: <tel:+{a.msisdn}>",
         sees=lambda a, b: [line("P-Asserted-Identity", exactly(f'"Dr. Bo" <tel:+{a.msisdn};verstat=TN-Validation-Passed>'))])


@scenario
def where_a_phone_is_and_what_it_costs_stays_with_the_network(case):
    own = "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010000001\nP-Charging-Vector: icid-value=1\n" \
          "Security-Verify: ipsec-3gpp;alg=hmac-md5-96;spi-c=1;spi-s=2;port-c=3;port-s=4"
    kept = ["P-Access-Network-Info", "P-Charging-Vector", "Security-Verify"]
    told(case, own, answers=own, hides=kept, hears_not=kept)


@scenario
def nothing_of_the_other_leg_is_seen(case):
    """Neither ports nor tags nor the Call-ID of one phone are in the heads of what the other one gets: the server is in between."""
    a, b = case.phone("caller"), case.phone("callee")
    a.knows(b)
    b.knows(a)
    a.values["target"] = b.user.impu
    for phone, other in ((a, b), (b, a)):
        seen = checks(lacks=[f":{other.port}[^0-9]", "tag=[0-9]+c1" if phone is b else "tag=[0-9]+u", "Call-ID: 1-" if phone is b else "Record-Route"])
        phone.values.update(invite_checks=seen, ringing_checks=seen, answer_checks=seen, ack_checks=seen, bye_checks=seen, bye_answer_checks=seen)
    b.start("callee_waits", out_of_call="callee_says")
    b.wait_done(1)
    a.start("caller_says")
    a.wait()
    b.wait_done(2)


@scenario
def history_and_diversion_pass(case):
    history = [("History-Info", f"<sip:first@{DOMAIN}>;index=1, <sip:second@{DOMAIN}?Reason=SIP%3Bcause%3D302>;index=1.1"),
               ("Diversion", "<tel:+4470000000001>;reason=unconditional")]
    says = "\n".join(f"{name}: {value}" for name, value in history)
    passed = lambda a, b: [line(name, exactly(value)) for name, value in history]
    told(case, says, sees=passed, answers=says, hears=passed)


@scenario
def history_is_hidden_from_the_callee_where_the_caller_wants_it(case):
    told(case, f"Privacy: history\nHistory-Info: <sip:first@{DOMAIN}>;index=1\nDiversion: <tel:+4470000000001>;privacy=full, <tel:+4470000000002>",
         sees=lambda a, b: [line("History-Info", "<sip:anonymous@anonymous[.]invalid>;index=1"), asserted_name(a),
                            line("Diversion", "<sip:anonymous@anonymous[.]invalid>;privacy=full, <tel:[+]4470000000002>")])


@scenario
def early_media_is_announced_in_both_directions(case):
    told(case, "P-Early-Media: supported", sees=lambda a, b: [line("P-Early-Media", "supported")], answers="P-Early-Media: sendrecv",
         hears=lambda a, b: [line("P-Early-Media", "sendrecv")])


@scenario
def early_media_is_not_announced_where_an_identity_takes_none(case):
    told(case, "P-Early-Media: supported", callee="quiet", hides=["P-Early-Media"], answers="P-Early-Media: sendrecv",
         hears_not=["P-Early-Media"])


@scenario(server="peculiar")
def custom_headers_go_into_what_they_are_for(case):
    """By method, by code, for all; one that phones send too is there once; one without a value is taken out."""
    phones = "X-Private: 1\nX-All: phone\nX-Ok: phone"
    marks = lambda *names: [line(f"X-{name}", value) for name, value in (("Invite", 1), ("Early-Or-Ok", 2), ("Ok", 3), ("All", 4)) if name in names]
    never = [line("X-Private"), line("X-All", "phone")]
    look = lambda present, *absent: checks(marks(*present), [*never, *(line(f"X-{name}") for name in absent)])
    told(case, phones, answers=phones, bye_headers=phones,
         invite_checks=look(("Invite", "All"), "Early-Or-Ok"), ringing_checks=look(("Early-Or-Ok", "All"), "Invite"),
         answer_checks=look(("Early-Or-Ok", "Ok", "All"), "Invite"), ack_checks=look(("All",), "Invite", "Early-Or-Ok"),
         bye_checks=look(("All",), "Invite", "Early-Or-Ok"), bye_answer_checks=look(("Ok", "All"), "Invite", "Early-Or-Ok"))


@scenario(server="peculiar")
def who_was_called_is_told_and_user_agents_pass(case):
    """The global property tells what was dialled; the agents of phones pass, and in a message without one there is the server's."""
    told(case, "User-Agent: caller's phone", target=by_number, answers="Server: callee's phone",
         sees=lambda a, b: [line("P-Called-Party-ID", exactly(f"<tel:+{b.msisdn}>")), line("User-Agent", "caller's phone")],
         hears=lambda a, b: [line("Server", "callee's phone")], bye_answer_checks=checks([line("Server", "peculiar/1")]))


def choice(case, features, wants):
    """B has two phones; with what A wants of it only the first one, with the first of these features, rings."""
    a, wanted = case.phone("caller"), case.phone("wanted")
    other = case.phone("other", user=wanted.user)
    a.knows(wanted)
    a.values.update(target=wanted.user.impu, invite_headers=wants)
    for phone, own in zip((other, wanted), reversed(features)):
        phone.knows(a)
        phone.values.update(features=own, invite_checks=checks([exactly(wants.split(": ")[1])]))
        phone.start("callee_waits", out_of_call="callee_says")
        phone.wait_done(1)
    a.start("caller_says")
    a.wait()
    wanted.wait_done(2)
    called = [d for d in case.server.monitor("dialog")["dialogs"] if d["type"] == "client" and wanted.user.imsi in d["to"]]
    assert len(called) == 1, f"one phone is to ring, the monitor shows {called}"


MMTEL = '+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"'


@scenario
def the_phone_with_the_feature_rings_where_it_is_demanded(case):
    choice(case, [f";audio;{MMTEL}", ";audio"], f"Accept-Contact: *;{MMTEL};require;explicit")


@scenario
def the_phone_without_the_feature_rings_where_that_is_demanded(case):
    choice(case, [";audio", ";audio;video"], "Reject-Contact: *;video")


@scenario
def identity_whose_183_is_kept_back(case):
    """`use183` off: the caller hears ringing first, and the 183 not at all."""
    call(case, "caller_hangs_up", "callee_without_183", callee={"kind": "quiet"})


@scenario(server="impatient")
def identity_that_only_rings(case):
    """B's phone answers; A hears nothing but ringing, until the server gives up."""
    call(case, "caller_is_not_answered", "callee_rings_in_vain", callee={"kind": "ringing"})


UNKNOWN = [
    ("X-Odd", 'a  b,"c;d"'), ("Geolocation", "<cid:here@example.org>"), ("Geolocation-Routing", "no"), ("P-TTA-VoLTE-Info", "avchange"),
    ("Alert-Info", "<urn:alert:service:call-waiting>"), ("Resource-Priority", "ets.0"), ("User-to-User", "00FA;encoding=hex"),
    ("Session-ID", "f81d4fae7dec11d0a76500a0c91e6bf6"), ("Subject", "lunch"), ("MIME-Version", "1.0"),
]
# A description, a location (RFC 6442 4.1) and an eCall's data (RFC 8147 8), the two of which are nothing to the server.
PARTS = """--b1
Content-Type: application/sdp

%{{{description}}}

--b1
Content-Type: application/pidf+xml
Content-ID: <here@example.org>
Content-Disposition: by-reference

<?xml version="1.0"?><presence entity="pres:me@example.org"><gml:pos>52.5 13.4</gml:pos></presence>

--b1
Content-Type: application/EmergencyCallData.Control+xml
Content-ID: <car@example.org>

<EmergencyCallData.Control><ack ref="car@example.org" received="true"/></EmergencyCallData.Control>
--b1--"""


@scenario
def unknown_headers_and_a_body_of_several_parts_survive(case):
    """In both directions: every header line as it was, and every part of the body."""
    passed = [line(name, exactly(value)) for name, value in UNKNOWN]
    passed += [line("Content-Type", 'multipart/mixed;boundary="b1"'), "--b1[[:space:]]+Content-Type: application/sdp.*m=audio [0-9]+ RTP/AVP 0 101",
               exactly('<?xml version="1.0"?><presence entity="pres:me@example.org"><gml:pos>52.5 13.4</gml:pos></presence>'),
               exactly('<EmergencyCallData.Control><ack ref="car@example.org" received="true"/></EmergencyCallData.Control>') + "[[:space:]]+--b1--"]
    says = "\n".join(f"{name}: {value}" for name, value in UNKNOWN)

    def prepare(phone):
        for own in ("offer", "answer"):
            phone.values[f"sdp_of_{own}"] = phone.values[own]
            phone.values[own] = PARTS.format(description=f"sdp_of_{own}")
            phone.values[f"{own}_type"] = 'multipart/mixed;boundary="b1"'
        phone.values.update(invite_headers=says, answer_headers=says, invite_checks=checks(passed), answer_checks=checks(passed))

    call(case, "caller_says", "callee_says", prepare=prepare)
