"""`autoweave top`: the mesh on a terminal. Only `command` is loaded with the command line."""
