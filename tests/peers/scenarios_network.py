"""Scenarios with SIPp as the phones: calls that the network makes, and calls for help to a user who answers for the police."""

from checks import checks, exactly, line
from phone import Phone
from registry import scenario
from users import User

CELL = "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100011A2D001"
LOCATION = "<gml:pos>52.5 13.4</gml:pos>"
# A description beside a location, as handsets send them (RFC 6442 4.1, TS 24.229 5.1.6.8.2).
WITH_LOCATION = f"""--there
Content-Type: application/sdp

%{{description}}

--there
Content-Type: application/pidf+xml
Content-ID: <me@example.org>

<presence entity="pres:me@example.org">{LOCATION}</presence>

--there--"""


@scenario
def network_calls_a_phone_holds_and_resumes(case):
    b = case.phone("callee")
    b.start("callee_waits", out_of_call="callee_is_called_by_nobody")
    b.wait_done(1)
    index = case.server.monitor("mt_call", b.user.impi, "-d", "60")["index"]
    b.wait_done(2)
    for state in ("start", "hold"):
        case.until(lambda: case.dialog(index)["state"] == state)
        case.server.monitor("dialog_set", str(index), "hold")
    b.wait_done(3)
    case.until(lambda: case.dialog(index)["state"] == "start")
    case.server.monitor("dialog_set", str(index), "stop")
    b.wait_done(4)


@scenario(server=None, kinds=("md5", "centre"))
def emergency_call_with_location_to_a_user(case):
    """The police hear where a phone without registration is: by its cell, and by the location beside its description."""
    centre, stranger = case.phone("centre", "centre"), Phone(case, User("md5", 99_000_002), "stranger")
    case.phones.append(stranger)
    centre.values["invite_checks"] = checks([
        line("P-Access-Network-Info", exactly(CELL)), line("Geolocation", exactly("<cid:me@example.org>")), line("Content-Type", "multipart/mixed;boundary=there"),
        f"--there[[:space:]]+Content-Type: application/sdp.*m=audio {stranger.audio} .*{exactly(LOCATION)}.*--there--",
    ])
    centre.start("callee_waits", out_of_call="callee_says")
    centre.wait_done(1)
    stranger.values.update(service="urn:service:sos.police", description=stranger.values["offer"], offer=WITH_LOCATION,
                           offer_type="multipart/mixed;boundary=there", invite_headers="Geolocation: <cid:me@example.org>")
    stranger.start("caller_in_need")
    stranger.wait()
    centre.wait_done(2)
