"""A stand-in for Anthropic's Messages API: the real SDK talks to it, and no key is needed."""
