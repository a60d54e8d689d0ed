"""A user's own model, whatever it is written in, as a function of parameters and inputs."""
