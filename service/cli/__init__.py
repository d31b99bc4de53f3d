"""The command-line commands: they parse arguments, call the service and print results."""
