"""A process inside the sandbox that runs probes, because their sockets must be made where the namespaces are.

serve.py    the worker's side: requests in, answers out
client.py   the caller's side
raw.py      how a measurement passes between them
"""
