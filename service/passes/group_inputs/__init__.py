"""Inputs of the group pass: stored data, operating points, and the scope of a grouping."""
