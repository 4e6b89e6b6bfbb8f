"""What all tests need of the process they run in."""

import signal

# A shell starts background jobs with SIGINT ignored, and children would inherit that: the tests
# that interrupt a job would wait for one that cannot hear them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
