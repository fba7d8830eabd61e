"""Telegram: private chats with a bot, and groups that call it."""
