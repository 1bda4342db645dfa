"""What a message brings along beside its text: a file, a place, people's cards."""
