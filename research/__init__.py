"""Research modules: importing them does nothing; running them is the scripts' part."""
