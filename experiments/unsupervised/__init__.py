"""Learning without labels: pretraining, codes, features, clusters."""
