"""The command line: read arguments, call one function, print. Thin, and kind."""
