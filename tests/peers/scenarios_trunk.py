"""Scenarios with SIPp as a PBX behind the SIP trunk, on the same host as the phones."""

from phone import Phone
from registry import scenario
from users import User

# A number that no subscriber has, and one behind the PBX.
OUTSIDE, INSIDE = "4930123456", "49309999"
# The PBX is no subscriber: this only gives its scenarios a name.
NOBODY = User("md5", 99_000_001)


def pbx_of(case, **values):
    """The PBX that the case's server knows, listening at the trunk's port."""
    pbx = Phone(case, NOBODY, "pbx", port=case.server.trunk_port)
    case.phones.append(pbx)
    pbx.values.update(impu=f"sip:+{INSIDE}@pbx.example.org", called=f"sip:[+]{OUTSIDE}@pbx.example.org;user=phone", **values)
    return pbx


def call_out(case, caller_does, pbx_does, **values):
    """A registers and calls a number that nobody here has; both come to the end of their scenarios."""
    a, pbx = case.phone("caller"), pbx_of(case, **values)
    a.knows(pbx)
    pbx.knows(a)
    a.values.update(target=f"tel:+{OUTSIDE}", **values)
    pbx.start(pbx_does)
    pbx.wait_listening()
    a.start(caller_does)
    a.wait()
    pbx.wait()


def call_in(case, pbx_does, callee_does, **values):
    """B registers, and the PBX calls its number."""
    b, pbx = case.phone("callee"), pbx_of(case, **values)
    b.knows(pbx)
    pbx.knows(b)
    b.values.update(peer_identity=INSIDE, **values)
    pbx.values["target"] = f"sip:+{b.user.msisdn}@[remote_ip]:[remote_port]"
    b.start("callee_waits", out_of_call=callee_does)
    b.wait_done(1)
    pbx.start(pbx_does)
    pbx.wait()
    b.wait_done(2)


def trunk(function):
    """A scenario whose server has a trunk."""
    return scenario(function, server=None, trunk=True)


@trunk
def trunk_call_out_caller_hangs_up(case):
    call_out(case, "caller_hangs_up", "pbx_is_called")


@trunk
def trunk_call_out_pbx_hangs_up(case):
    call_out(case, "caller_is_hung_up", "callee_hangs_up")


@trunk
def trunk_call_out_with_hold_and_resume(case):
    call_out(case, "caller_holds", "callee_is_held")


@trunk
def trunk_call_out_cancelled(case):
    call_out(case, "caller_cancels", "callee_is_cancelled")


@trunk
def trunk_call_out_busy(case):
    call_out(case, "caller_is_refused", "callee_refuses", expected="486", refusal="486 Busy Here")


@trunk
def trunk_call_out_with_100rel_and_update(case):
    call_out(case, "caller_with_100rel", "callee_with_100rel")


@trunk
def trunk_call_out_to_a_pbx_that_forks(case):
    """Two phones behind the PBX ring and answer: each is an early dialog of its own, and the first has the call."""
    call_out(case, "caller_of_a_fork", "pbx_forks")


@trunk
def trunk_that_asks_for_a_password(case):
    call_out(case, "caller_is_refused", "callee_refuses", expected="502", refusal="401 Unauthorized")
    case.log_has("the trunk asks for credentials")


@trunk
def trunk_that_is_not_there(case):
    a = case.phone("caller")
    a.values.update(target=f"tel:+{OUTSIDE}", expected="480")
    a.start("caller_is_refused")
    a.wait()
    case.log_has("the trunk cannot be reached")
    reasons = [dialog.get("reason") for dialog in case.server.monitor("dialog")["dialogs"]]
    assert reasons == ["the trunk cannot be reached"] * 2, f"the monitor says {reasons}"


@trunk
def trunk_call_in_pbx_hangs_up(case):
    call_in(case, "pbx_calls", "callee_is_hung_up")


@trunk
def trunk_call_in_callee_hangs_up(case):
    call_in(case, "pbx_calls_and_is_hung_up", "callee_hangs_up")


@trunk
def trunk_call_in_to_an_unknown_number(case):
    pbx = pbx_of(case, expected="404", target=f"sip:+{OUTSIDE}@[remote_ip]:[remote_port]")
    pbx.start("pbx_is_refused")
    pbx.wait()


@trunk
def trunk_pings_are_answered(case):
    pbx = pbx_of(case)
    pbx.start("pbx_pings")
    pbx.wait()
