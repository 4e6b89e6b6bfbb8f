"""Numbers only: who holds what, in which order, at what cost.  No torch, no MPI."""
