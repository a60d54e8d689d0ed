"""What depends on the machine, and sweeps of whole catalogues."""
