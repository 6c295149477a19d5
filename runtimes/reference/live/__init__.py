"""Private real servers for the connectors: each in a folder of its own, on a free loopback port.

They are children of a site, so that whatever moment their harness dies at, the next one sweeps
them up.
"""
