"""What the commands of zemo-diag do, a small file each."""

__version__ = "0.1.0"
