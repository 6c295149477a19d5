"""Every way to die, to depth two, against the recovery code that is shipped.

Nothing here decides what recovery does: ``resume`` and ``effect_log`` are imported and driven over
a disk and a world in memory.  A *stop* is a moment at which a process may die, be frozen or be
overtaken; a *life* is one process from its start to its end or its death.
"""
