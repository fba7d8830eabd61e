"""What the commands do; `helpdesk.cli` only says how they are called."""
