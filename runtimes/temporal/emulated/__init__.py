"""What Temporal has no declaration for, made of workflows, signals and children.

A program whose policy limits its starts has a *gate*, a workflow that lets its runs go on.  Each
run is a workflow of its own from the beginning: it tells the gate that it is there, and waits
for a signal or for its cancellation.  Who starts several at once tells the gate their order
first.  A place is held until the server says that the run is closed, however it ended.
"""
