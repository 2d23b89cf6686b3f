"""``zemo-diag masters``: master tiles measured, and pictures of them."""
