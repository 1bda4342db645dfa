"""Who is who: phone numbers and BSUIDs, their changes, and the conversations they lead to."""
