"""What the samples mean: quantiles, intervals, comparisons, fits, tests. Pure: no clock, file or machine.

The unit of replication is the *repeat* (everything set up and measured anew), never the packet: packets of
one run share its caches, its placement on the CPUs and its noise, so an interval over packets would be far
too narrow.
"""
