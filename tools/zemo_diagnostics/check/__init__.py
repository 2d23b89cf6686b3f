"""``zemo-diag check``: what must be true of a ZeMosaic, asked of it by running it."""
