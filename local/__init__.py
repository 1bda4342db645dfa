"""What lets the whole system run on one machine, without Google, Meta or Anthropic."""
