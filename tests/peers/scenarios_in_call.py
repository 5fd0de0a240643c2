"""Scenarios with SIPp as the phones: requests inside a call, and those that cross."""

from registry import scenario
from scenarios import call
from users import DOMAIN


@scenario
def requests_inside_a_call_pass_in_both_directions(case):
    """OPTIONS, INFO, MESSAGE, REFER and its NOTIFY: header lines and bodies as they were, and so the answers."""
    call(case, "caller_asks_in_call", "callee_is_asked_in_call")


def refused(case, asked, refusal, headers="User-Agent: sipp", body=""):
    """A asks for something in a call, B refuses: A hears just that, and the call goes on."""
    call(case, "caller_is_refused_in_call", "callee_refuses_in_call", asked=asked, refusal=refusal, expected=refusal.split()[0],
         asked_headers=headers, asked_body=body)


@scenario
def transfer_that_the_callee_does_not_want(case):
    refused(case, "REFER", "603 Decline", "Refer-To: <tel:+4470000000001>")


@scenario
def info_that_the_callee_does_not_know(case):
    refused(case, "INFO", "469 Bad Info Package", "Info-Package: odd")


@scenario
def update_that_the_callee_cannot_take(case):
    refused(case, "UPDATE", "488 Not Acceptable Here", "Content-Type: application/sdp", "%{hold_offer}")


@scenario
def offers_that_meet_are_refused_and_made_again(case):
    call(case, "caller_meets_an_offer", "callee_meets_an_offer")


@scenario
def cancel_that_crosses_the_answer(case):
    """A is told that its call was cancelled, B's answer is acknowledged and its call ended."""
    call(case, "caller_cancels", "callee_answers_too_late")


@scenario
def cancel_after_the_answer(case):
    call(case, "caller_cancels_too_late", "callee_is_told_and_hung_up")


@scenario
def requests_in_a_call_that_is_over(case):
    call(case, "caller_asks_when_it_is_over", "callee_is_hung_up")


@scenario
def requests_inside_an_echo_call(case):
    """What it has no use for is refused by name: a transfer, and news of one that it never asked for."""
    phone = case.phone("caller")
    phone.values["target"] = f"sip:666@{DOMAIN}"
    phone.start("caller_of_echo_asks")
    phone.wait()
