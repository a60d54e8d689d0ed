"""Acting: policies learned by gradients, by evolution and by playing against themselves."""
