"""``zemo-diag gating``: the mount mode of each tile, and whether Phase 3 cleans it."""
