"""X: mentions, direct messages and answers to them."""
