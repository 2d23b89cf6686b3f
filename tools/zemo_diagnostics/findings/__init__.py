"""``zemo-diag findings``: what a check is, which there are, and what their codes mean."""
