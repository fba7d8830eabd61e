"""An omnichannel helpdesk backend."""

__version__ = "0.1.0"
