"""``zemo-diag demo``: both reports on simulated frames, and the simulation."""
