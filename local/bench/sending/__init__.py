"""What sending costs others, and how soon another process goes on with it."""
