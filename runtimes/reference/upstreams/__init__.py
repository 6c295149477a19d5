"""What stands behind the gateway: one module for each kind of provider, and what all of them say.

``base`` has the words: an order goes out, an answer comes back, and a contract says what may be
done where none came back.
"""
