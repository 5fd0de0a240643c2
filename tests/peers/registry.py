"""The list of scenarios: each a function of a Case, which gives it subscribers, phones, the server and a folder."""

SCENARIOS = []


def scenario(function=None, *, server="patient", transports=("udp", "tcp")):
    """Registers a scenario; `server` names the server it runs against, None for one of its own."""

    def register(function):
        SCENARIOS.append((function.__name__, function, server, transports))
        return function

    return register(function) if function else register
