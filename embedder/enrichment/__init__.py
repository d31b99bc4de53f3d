"""Further measures of chosen faces: landmarks, head pose and quality models."""
