"""``zemo-diag stack``: the chunked stack as a plain tool."""
