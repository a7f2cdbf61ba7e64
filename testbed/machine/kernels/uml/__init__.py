"""User Mode Linux as a guest: a real Linux kernel as an ordinary process, over this machine's files."""
