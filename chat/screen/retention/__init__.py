"""The administrators' pages for deleting customers' data."""
