"""Packets out and packets seen.

layout.py      where things stand in a frame
frames.py      frames to send, by scapy and numpy
pace.py        when to send
sender.py      many frames for each system call
filters.py     which frames a tap takes
taps.py        taps with kernel stamps
ring.py        reading what a tap took
background.py  load that nobody measures, from a process of its own
child.py       such a process, and how to speak to it
"""
