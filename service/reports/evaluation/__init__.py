"""Evaluation of the grouping against labels: the labels, the results of every method, and the page."""
