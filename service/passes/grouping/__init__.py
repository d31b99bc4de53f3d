"""What the group pass reads and decides by: inputs, operating points, and the scope of a grouping."""
