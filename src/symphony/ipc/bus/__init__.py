"""Who gets it: the broker, its routing, and the clients' endpoint."""
