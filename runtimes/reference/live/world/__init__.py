"""Real providers behind the harness's world: verbs and paths on one side, connectors on the other.

Each module is what a scenario's ``Provider.live`` names.  It acts through its connector, as an
agent would, and looks in a way of its own: by what the server itself keeps.
"""
