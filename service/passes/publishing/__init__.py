"""What the publish pass needs: eras, enriched landmarks, crop checks, candidates and profiles."""
