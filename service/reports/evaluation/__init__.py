"""Holding the grouping against labels: whose faces they are, how every method fared, and the page that shows it."""
