"""``zemo-diag phase3``: master tiles built before and after the patch."""
