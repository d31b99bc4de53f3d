"""The quality of a face: pose, landmarks, and the composite score."""
