"""What runs left behind, as one page for people: read, drawn, explained."""
