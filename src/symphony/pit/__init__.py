"""The Pit: it runs what the score asks for, and keeps what comes of it."""
