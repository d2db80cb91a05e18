"""`autoweave bench`: load of the product's own making, and what it does to it."""
