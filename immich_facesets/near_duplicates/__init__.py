"""Detection of near-duplicate faces and near-identical pictures."""
