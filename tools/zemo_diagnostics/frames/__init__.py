"""A folder of files: frames, their headers and pointings, tiles, and pixels by bands of rows."""
