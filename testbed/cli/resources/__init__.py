"""What the commands on objects share: which objects words name, and how objects are printed."""
