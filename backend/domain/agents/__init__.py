"""The agents of a tenant and the runs that are asked of them."""
