"""The demonstration: a whole competition on real data in a throw-away sandbox."""
