"""How good groups are against labels: metrics, confusions, and other methods to compare with."""
