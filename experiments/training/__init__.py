"""Trained networks: what depth, rules and starts do to learning."""
