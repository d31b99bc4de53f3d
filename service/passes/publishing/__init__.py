"""Parts of the publish pass: eras, enriched landmarks, crop checks, candidates and profiles."""
