"""Finding messages and conversations, and what makes older ones findable."""
