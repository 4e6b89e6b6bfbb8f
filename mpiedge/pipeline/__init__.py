"""Running a schedule on one rank."""
