"""What both processes need around the pure part: settings, logs, the way out, health, and the folder of models."""
