"""Starts a job over MPI and answers for how it ends.

Apart from everything else because it runs before there are ranks: it imports neither torch nor
MPI.  mpirun cannot be trusted with the end of a job (it ends with 0 when a host dies and never
ends when a cable is pulled), so the exit code comes from a file that rank 0 writes.
"""
