"""Identification: whose face is this, among the people that are known, or nobody's (open-set identification)."""
