"""Two processes that are killed in turn while customers and an attendant write: what must hold."""
