"""How it gets there: sockets, pipes, memory; who is at the other end."""
