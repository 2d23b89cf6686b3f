"""The machine: child processes, memory, temporary folders, files written whole or not at all."""
