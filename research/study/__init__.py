"""What makes rows: declarations, the runner, files, claims, tables, the command line."""
