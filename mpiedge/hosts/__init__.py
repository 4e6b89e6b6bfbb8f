"""The machines of a hostfile, looked at from the first of them before anything runs there."""
