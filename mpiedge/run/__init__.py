"""One run, from beginning to end: the only place that builds objects and puts them together."""
