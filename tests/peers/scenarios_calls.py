"""Scenarios with SIPp as the phones: what calls negotiate, and what is different on the two sides."""

from phone import Phone, sdp
from registry import scenario
from scenarios import call, refused_call
from users import User

VOLTE = ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"'


def resources(local, remote, confirm=False):
    """Precondition lines of a description (RFC 3312 5): what is there on its side and on the other."""
    lines = [f"a=curr:qos local {local}", f"a=curr:qos remote {remote}", "a=des:qos mandatory local sendrecv", "a=des:qos mandatory remote sendrecv"]
    return "\n".join(lines + ["a=conf:qos remote sendrecv"] * confirm)


@scenario
def call_with_100rel_of_the_caller_alone(case):
    """The callee may not have it: the caller's PRACKs are answered by the server."""
    call(case, "caller_with_100rel_alone", "callee_without_100rel", callee={"kind": "unreliable"})


@scenario
def call_with_100rel_of_the_callee_alone(case):
    """The caller does not know it: the server sends the PRACK."""
    call(case, "caller_without_100rel", "callee_with_100rel_alone", features=VOLTE)


@scenario
def call_with_preconditions(case):
    """Both wait for their resources, and say in an UPDATE and its answer that they are there (RFC 3312 13)."""
    there = resources("sendrecv", "sendrecv")
    lines = {
        "offer": resources("none", "none"), "answer": resources("none", "none", confirm=True),
        "update_offer": resources("sendrecv", "none"), "updated_answer": there,
    }
    call(case, "caller_with_100rel", "callee_with_100rel", kind="waiting", features=VOLTE, extensions="100rel,precondition",
         waits=".*a=conf:qos remote sendrecv", is_ready=".*a=curr:qos local sendrecv", more=lines)


@scenario
def call_with_video_added_and_taken_away(case):
    """Two re-INVITEs: one offers video beside the audio, which is taken, the next one closes it (RFC 3264 8)."""

    def with_video(phone):
        port = case.ports.take(2)
        shown = [sdp(phone.ip, version, phone.audio, port, "sendrecv") for version in (2, 3)]
        phone.values["hold_offer"] = phone.values["held_answer"] = shown[0]
        phone.values["resume_offer"] = phone.values["resumed_answer"] = shown[1].replace(f"m=video {port}", "m=video 0")

    call(case, "caller_holds", "callee_is_held", prepare=with_video, change="m=video [1-9]", changed="m=video [1-9]", changed_back="m=video 0 ")


@scenario
def call_without_an_offer(case):
    call(case, "caller_without_offer", "callee_that_offers")


@scenario
def call_with_a_session_timer(case):
    """Too short a session is refused with 422; the one that is long enough is granted, and refreshed by an UPDATE."""
    call(case, "caller_with_a_timer", "callee_is_hung_up")


@scenario
def call_of_somebody_who_wants_to_be_unknown(case):
    call(case, "caller_hangs_up", "callee_of_somebody_unknown", invite_headers="Privacy: id;header;user")


@scenario
def emergency_call_of_a_phone_that_has_not_registered(case):
    stranger = Phone(case, User("md5", 99_000_002), "stranger")
    case.phones.append(stranger)
    stranger.start("caller_in_need")
    stranger.wait()


@scenario
def emergency_number_dialled_as_any_other(case):
    """The phone is told in the XML body of a 380 to register for emergency calls first."""
    refused_call(case, "tel:112", "380")
