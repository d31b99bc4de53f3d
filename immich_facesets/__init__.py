"""The rules and data types for faces, independent of servers and storage."""
