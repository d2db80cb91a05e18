"""Who is there: the signed cards of agents, and whether somebody serves them."""
