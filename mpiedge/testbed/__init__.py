"""Emulates a cluster of small devices on one Linux machine.

Each device is a network namespace with its own address and host name, a control group that limits
its share of the processor and its memory, and a link that is shaped in both directions.  Apart
from ``launch`` because it needs root and changes the machine, if only in what it made itself.
"""
