"""What was measured, where and how: samples of a block, facts of the machine, one folder per run."""
