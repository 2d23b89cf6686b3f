"""The ZeMosaic under test: checkouts that look like one, and real ones where they are at hand."""
