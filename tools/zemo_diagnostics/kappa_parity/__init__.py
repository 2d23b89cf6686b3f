"""``zemo-diag kappa-parity``: the chunked stack against the full-frame one."""
