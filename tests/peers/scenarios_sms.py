"""Short messages between phones with SIMs, over IP (TS 24.341): what pycrate has to judge."""

import time

from registry import scenario
from scenarios_baresip import bindings_of

LONG = "The extension table has €, {, }, [, ], ~, ^ and |: two septets each. " * 5
EMOJI = "Lange Texte werden geteilt 😀👍, auch zwischen Emoji 你好. " * 5


@scenario(short_messages=True)
def sim_users_write_to_each_other(case):
    """Long texts, emoji and the extension table, both ways; a text that is refused, and one that has no memory to go to at first."""
    a, b = case.soft_ue("one"), case.soft_ue("other")
    to_a, to_b = f"+{a.user.msisdn}", f"+{b.user.msisdn}"
    b.start(["register", "sms-report full", "wait sms-refused 30", "smma", "wait sms 30", f'expect sms "{LONG.strip()}"', "wait sms 30",
             f'expect sms "{EMOJI.strip()}"', f"sms {to_a} thanks {{€}}", "expect code 202", "expect sms-received 2", "deregister"])
    case.until(lambda: is_registered(case, b))
    a.start(["register", "sms-status on", f'sms {to_b} "{LONG.strip()}"', "expect code 202", f'sms {to_b} "{EMOJI.strip()}"', "wait sms 40",
             "expect sms thanks {€}", "try sms +4499999999999 hello", "deregister"])
    a.wait()
    b.wait()


def is_registered(case, ue):
    ue.check_running()
    time.sleep(0.05)
    return bool(bindings_of(case, ue))
