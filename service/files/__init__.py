"""Files that the service writes: crops, staged pictures, and the export tree. Each is durable before its row."""
