"""What is in a file, told from its bytes: type, picture, sound. Bounded in time and memory."""
