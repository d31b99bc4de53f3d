"""Measured distances: pairs of faces that are known to be two people, and the thresholds that follow from them."""
