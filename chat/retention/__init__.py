"""Deleting a customer's data, by an administrator or by age, with a record that it was done."""
