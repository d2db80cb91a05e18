"""The product under mixed load for long, with its processes killed all the time: `make soak`."""
