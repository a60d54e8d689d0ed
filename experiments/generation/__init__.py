"""Making: nets that draw from noise, from pictures and from sentences."""
