"""Parts of discover beside the listing itself: people, dates, and the faces that a source knows."""
