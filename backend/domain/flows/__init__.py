"""Flow graphs and the durable engine that runs them."""
