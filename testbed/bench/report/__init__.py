"""How a person sees a run: answers, tables, plots, one page. Reads result files, never live state."""
