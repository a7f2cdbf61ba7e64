"""What runs inside a guest: its process 1, and the agent that serves the wire."""
