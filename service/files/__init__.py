"""Files that the service writes: crops, staged pictures, and the export tree, each durable before its row."""
