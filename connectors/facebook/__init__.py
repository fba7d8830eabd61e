"""Facebook and Instagram: what is written to a Page or an account, and answers to it, by one vendor's Graph API."""
