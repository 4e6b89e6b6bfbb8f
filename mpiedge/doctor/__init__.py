"""Looks at an installation, its ranks and their links, and says what is wrong."""
