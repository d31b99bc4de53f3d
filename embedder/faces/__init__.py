"""From a picture to its faces: where to look, detection, alignment and measures."""
