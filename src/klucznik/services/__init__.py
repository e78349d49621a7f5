"""One module per thing a user asks for. A service opens nothing and prints nothing: it is given an `Installation`."""
