"""Properties of the server whose messages bear marks: headers that are added, replaced and taken out, and who was called."""

# Which messages bear which header is looked at in scenarios_identities.py.
PECULIAR = """
  user_agent: "peculiar/1",
  force_user_agent: false,
  p_called_party_id: true,
  custom_headers: [
    { name: "X-Invite", value: "1", methods: "INVITE" },
    { name: "X-Early-Or-Ok", value: "2", methods: ["INVITE"], codes: [180, 200] },
    { name: "X-Ok", value: "3", codes: 200 },
    { name: "X-All", value: "4", methods: "*", replace: true },
    { name: "X-All", value: "4", codes: 0, replace: true },
    { name: "X-Private", value: null, methods: "*" },
    { name: "X-Private", value: null, codes: 0 },
  ],
"""
