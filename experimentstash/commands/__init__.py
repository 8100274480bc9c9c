"""One verb per file: a function that takes plain arguments and returns a result; the command line prints it."""
