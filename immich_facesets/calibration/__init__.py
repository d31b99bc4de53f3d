"""Calibration: pairs of faces with a known label, and the distance thresholds that follow from them."""
