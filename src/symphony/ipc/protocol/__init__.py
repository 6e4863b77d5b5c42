"""What is said: frames, the envelope and its codecs, and the conversation with an extension."""
