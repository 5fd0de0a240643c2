"""What a scenario looks for in a message: actions of SIPp, made from lists."""

import re
from xml.sax.saxutils import quoteattr

SPECIAL = re.compile(r"[.$*+?{}\[\]|()]")


def exactly(text):
    """A regular expression (POSIX, extended) for nothing but the text."""
    return SPECIAL.sub(lambda found: f"[{found[0]}]", text)


def line(name, value=None):
    """A regular expression for a header field of a message; `value` is a regular expression too, anything if absent."""
    return f"[[:cntrl:]]{name}: {value}[[:cntrl:]]" if value is not None else f"[[:cntrl:]]{name}:"


def checks(has=(), lacks=()):
    """Actions that look at a whole message: something in it matches each of the first, and nothing any of the others."""
    wanted = [(pattern, "check_it") for pattern in has] + [(pattern, "check_it_inverse") for pattern in lacks]
    if not wanted:
        return ""
    actions = [f'<ereg regexp={quoteattr(pattern)} search_in="msg" {how}="true" assign_to="check{n}"/>' for n, (pattern, how) in enumerate(wanted)]
    # SIPp refuses variables that are not used.
    return "\n".join([*actions, f'<log message="seen: {" ".join(f"[$check{n}]" for n in range(len(wanted)))}"/>'])
