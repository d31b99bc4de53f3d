"""Runtime support of both processes: settings, logging, shutdown, health, and the folder of models."""
