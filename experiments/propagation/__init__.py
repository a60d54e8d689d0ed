"""Random networks at initialisation: lengths, correlations, gradients."""
