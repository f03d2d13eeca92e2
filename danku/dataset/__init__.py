"""Data sets: read from files, cut into groups, committed, and bundled for everybody to verify."""
