"""The ZeMosaic under test: which functions it has, and how they are called."""
