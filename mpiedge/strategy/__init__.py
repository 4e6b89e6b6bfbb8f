"""Strategies: routes and phases as data.  No torch, no MPI."""
