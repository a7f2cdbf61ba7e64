"""One file per kind of plot. Each draws a Summary and hands the figures to a Sheet."""
