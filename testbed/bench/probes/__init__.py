"""What a packet meets on its way: one file per question.

first_packet.py  established.py  connect.py (connector.py)  distribution.py

path.py         what a probe is told
instruments.py  senders, taps and sinks, kept between runs
crossing.py     one train of packets across a path
match.py        joining both ends
self_test.py    the proof of the ruler
conntrack.py    forgetting flows
names.py        the probes by name
"""
