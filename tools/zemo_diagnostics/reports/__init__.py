"""Reports: what a command found out, the blocks it is told in, and the formats that draw them."""
