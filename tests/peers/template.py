"""Templates: `%{name}` is replaced by a value, `<?include part name="value"…?>` by a part with values of its own."""

import html
import re

PLACE = re.compile(r"%\{(\w+)\}")
INCLUDE = re.compile(r"<\?include (\w+)((?:\s+\w+=\"[^\"]*\")*)\s*\?>")
PARAMETER = re.compile(r"(\w+)=\"([^\"]*)\"")


def fill(text, values):
    """Replaces every `%{name}`, those in the values too; a name without a value is an error."""
    for _ in range(10):
        if not PLACE.search(text):
            return text
        text = PLACE.sub(lambda place: str(values[place[1]]), text)
    raise RuntimeError("values that contain each other")


def include(text, read):
    """Replaces every include by what `read(part)` gives, with the parameters filled in; other names are left alone."""

    def expand(match):
        own = {name: html.unescape(value) for name, value in PARAMETER.findall(match[2])}
        part = include(read(match[1]), read)
        return PLACE.sub(lambda place: own.get(place[1], place[0]), part).rstrip("\n")

    return INCLUDE.sub(expand, text)
