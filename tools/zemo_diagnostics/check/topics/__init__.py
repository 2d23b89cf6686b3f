"""The checks of the acceptance list, topic by topic, each with its experiments."""
